"""Logs as JSON lines on stderr, one object per line."""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime

LOGGER = logging.getLogger("ssd300.serve")


class JsonLines(logging.Formatter):
    """Formats time, level, event, and the fields of `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, ensure_ascii=True, default=str)


def start_logs() -> None:
    """Log our lines and the errors of packages to stderr, without their warnings, which any client can cause."""
    root, handler = logging.getLogger(), logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root.handlers[:] = [handler]
    root.setLevel(logging.ERROR)
    logging.getLogger("ssd300").setLevel(logging.INFO)
    # `guard.plain_answer` has logged the error of a request with its id; uvicorn would log it again without.
    logging.getLogger("uvicorn.error").filters[:] = [lambda record: "in ASGI application" not in record.getMessage()]
