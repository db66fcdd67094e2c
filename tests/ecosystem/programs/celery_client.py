"""Sends two tasks and prints what they return, as JSON."""

from __future__ import annotations

import json

from bridges import WAIT_S
from celery import group
from celery_tasks import meet

results = group(meet.s(word) for word in ("one", "two"))()
print(json.dumps(results.get(timeout=WAIT_S, interval=0.05)))
