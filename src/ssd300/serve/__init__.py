"""`ssd300 serve`: detection over HTTP.

connections.py -> app.py -> body.py -> request.py -> admission.py -> models.py -> answers.py

A request is read completely, within a deadline and limits, before it may enter the queue.
"""
