"""What a fork server loads before it forks: its own default portal is in use by then."""

from __future__ import annotations

from gllm_core.concurrency import asyncify, syncify

assert syncify(asyncify(len))("four") == 4
