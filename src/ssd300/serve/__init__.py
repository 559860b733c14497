"""`ssd300 serve`: detection over HTTP.

connections.py -> app.py -> body.py -> request.py -> admission.py -> models.py -> answers.py

A request is read completely, within a deadline and limits, before it may enter the queue.
"""

from ssd300.errors import needs

with needs("`ssd300 serve`", "serve"):
    import h11  # noqa: F401
    import prometheus_client  # noqa: F401
    import python_multipart  # noqa: F401
    import starlette  # noqa: F401
    import uvicorn  # noqa: F401
