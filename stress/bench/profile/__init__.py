"""Where the time of a call goes: ladders of floors, measured as the benchmark measures.

    python -m bench.profile                 every ladder, pinned to one core
    python -m bench.profile --ladder NAME   one of them; `--list` names them

Each step of a ladder does what the one below it does and one thing more that the call cannot do without; the last step is
the whole call. So what a step takes beyond its neighbour is what that thing costs, and what the whole call adds to the last
step is what a faster library could save. There is one ladder for each bar that is not met, or is met only just.
"""
