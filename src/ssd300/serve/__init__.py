"""`ssd300 serve`: the detector behind an address.

connections.py -> app.py -> body.py -> request.py -> admission.py -> models.py -> answers.py

A request is read whole, within a deadline and limits, before it may take a place in the queue.
"""
