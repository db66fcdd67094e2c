"""What each library guarantees where sync and async meet: one small program for each guarantee, run against each library.

    python -m peers                         the whole table
    python -m peers SCENARIO LIBRARY        one cell, and all that was seen
    python -m peers --ours                  our own column; status 1 if a cell of it does not hold
    python -m peers --list                  the guarantees and the libraries

from the folder stress/. The outcome of a cell is observed in a process of its own, under a hard limit. Each library is used
in the best form that its own documentation shows: see `libraries`.
"""
