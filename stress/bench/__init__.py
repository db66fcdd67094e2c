"""What a bridge call costs: ours against its peers and against the floor, interleaved in one process, as ratios.

    python -m bench                     all workloads, pinned to one core and free
    python -m bench --smoke             the bars, one a line, in under a minute
    python -m bench --workload NAME     one of them; `--list` names them

A workload runs in a child process of its own, so that no candidate inherits another's threads. See `rounds` for how a
figure is taken and `bars` for what is wanted of it.
"""
