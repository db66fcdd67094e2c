"""One run: controlled threads, and the baton that only one of them holds.

Real threads do the work, so thread-locals, context variables and C code see what they always see. Each thread sleeps on a
real lock of its own, its gate, until the one that holds the baton opens it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from . import _world
from ._actors import Actor, Chooser, State, Waitable
from ._choices import Choice, DivergedError
from ._real import allocate_lock as real_allocate_lock
from ._real import get_ident
from ._report import Finding, Kind
from ._table import who_waits_for_what

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from ._locks import VirtualLock

SPIN_LIMIT = 12
"""How often a thread may poll, nobody else running, until the others must run: schedules are fair, as real ones are."""
FAIR_AFTER = 2_000
"""How many points a thread may pass, nobody else running, until the others must run."""
KILL_LIMIT = 500
"""How often code may swallow the end of its run until its thread is left behind."""


class Run:
    """One schedule from its beginning to its end.

    All fields belong to the thread that holds the baton (`current`); after `over`, to the driver.
    """

    def __init__(self, chooser: Chooser, *, max_steps: int, faults: frozenset[str], daemons_may_stay: bool) -> None:
        self._chooser = chooser
        self._max_steps = max_steps
        self._faults = faults
        self._daemons_may_stay = daemons_may_stay
        self.clock = 1_000.0
        self.steps = self.hashes = 0
        self.chances = 0
        """At how many points another thread could come first."""
        self.switches = 0
        self.actors: list[Actor] = []
        self.current: Actor | None = None
        self.choices: list[Choice] = []
        self.taken: list[int] = []
        self.finding: Finding | None = None
        self.over = False
        self.calm = 0
        """How many sections that are to pass without a choice have been entered, and not left."""
        self.was_calm = False
        self.finished = real_allocate_lock()
        self.finished.acquire()
        self.loops: dict[AbstractEventLoop, Actor] = {}
        """And the threads that made them."""
        self.fork_handlers: list[tuple[Callable[[], object] | None, Callable[[], object] | None]] = []
        """What the run's own code registered: for before a fork, and for after it in the child."""
        self.left_behind: set[Actor] = set()
        """The threads that stayed with a parent process."""
        self.created = 0
        self.tasks: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        """The asyncio tasks, numbered as they were created."""
        self.fault: str | None = None
        """The one fault that was injected."""
        self.before_unwinding: Callable[[Run], None] | None = None
        self.observe: Callable[[Actor, Choice, int], None] | None = None

    # What the running thread does

    def point(self, actor: Actor, where: int | str, *, polls: bool = False) -> None:
        """*actor* is about to do something that others can see: any of them may come first."""
        if self.over:
            self.ended(actor)
        self.steps += 1
        self.chances += not self.calm
        if self.steps > self._max_steps:
            self.fail(Finding(Kind.STEP_LIMIT, f"no end after {self._max_steps} points\n{who_waits_for_what(self)}"))
            raise _world.Killed
        actor.stretch += 1
        actor.polls += polls
        others = [other for other in self.actors if other.state is State.READY and other is not actor]
        must_yield = (actor.polls >= SPIN_LIMIT and polls) or actor.stretch >= FAIR_AFTER
        if must_yield and not others:
            others = self._let_time_pass()
        if must_yield and others:
            self._hand_over(actor, self._choose(actor, where, others, "free"))
        elif not self.calm and (others or "timeout" in self._faults):
            self._hand_over(actor, self._choose(actor, where, [actor, *others], "run"))

    def block(self, actor: Actor, on: Waitable, deadline: float | None) -> bool:
        """Wait until somebody wakes *actor*. False if its time was over first."""
        if self.over:
            self.ended(actor)
        actor.state, actor.waits_for, actor.deadline, actor.timed_out = State.BLOCKED, on, deadline, False
        following = self._next(actor)
        if following is None:
            self.stuck()
            raise _world.Killed
        self._hand_over(actor, following)
        return not actor.timed_out

    def wake(self, actor: Actor) -> None:
        if actor.state is State.BLOCKED:
            actor.state, actor.waits_for, actor.deadline = State.READY, None, None

    def injects(self, actor: Actor, fault: str) -> bool:
        """Whether this is where the run's one fault happens."""
        if self.over or self.calm or fault not in self._faults or self.fault is not None:
            return False
        if self._decide(actor, Choice(actor.index, fault, (0, 1), "fault")) == 0:
            return False
        self.fault = fault
        return True

    def hand_baton(self, actor: Actor, to: Actor) -> None:
        """Without a choice: *actor* goes on when *to* hands it back."""
        self._hand_over(actor, to)

    def done(self, actor: Actor) -> None:
        """*actor*'s function has returned."""
        actor.state = State.DONE
        if actor.on_done is not None:
            actor.on_done()
        for joiner in actor.joiners:
            self.wake(joiner)
        if self.over:
            return
        if self._daemons_may_stay and all(other.daemon or other.state is State.DONE for other in self.actors):
            self._finish_well()
            return
        following = self._next(actor)
        if following is not None:
            self.current = following
            self.switches += 1
            following.gate.release()
        elif all(other.state is State.DONE for other in self.actors):
            self._finish_well()
        else:
            self.stuck()

    # The end

    def fail(self, finding: Finding) -> None:
        """The run is over: the first finding counts."""
        if not self.over:
            self.finding = finding
            if self.before_unwinding is not None:
                self.before_unwinding(self)
            self.end()

    def fail_stale(self, lock: VirtualLock) -> None:
        self.fail(
            Finding(
                Kind.UNCONTROLLED,
                f"the lock made at {lock.describe()} was left held by an earlier schedule; "
                "make it in the scenario; or import its module there, and name that in fresh=[...]",
            )
        )
        raise _world.Killed

    def end(self) -> None:
        self.over = True
        self.finished.release()

    def ended(self, actor: Actor) -> None:
        """Unwind *actor*, whose run is over."""
        actor.kills += 1
        if actor.kills > KILL_LIMIT:  # it swallows the exception again and again
            _world.abandoned.add(get_ident())
            actor.exited.release()
            actor.gate.acquire()  # for ever
        raise _world.Killed

    def stuck(self) -> None:
        """Nobody can ever run again."""
        table = who_waits_for_what(self)
        if self.actors[0].state is State.DONE:
            self.fail(Finding(Kind.LEAK, f"threads that never end\n{table}"))
        else:
            self.fail(Finding(Kind.DEADLOCK, f"nobody can go on\n{table}"))

    def _finish_well(self) -> None:
        for loop, owner in self.loops.items():
            over = owner.state is State.DONE and owner not in self.left_behind
            if over and not loop.is_closed() and not loop.is_running():
                self.fail(Finding(Kind.LEAK, f"an event loop was not closed: {loop!r}"))
                return
        self.end()

    # Choices

    def _next(self, actor: Actor) -> Actor | None:
        """Who runs now that *actor* cannot."""
        ready = [other for other in self.actors if other.state is State.READY] or self._let_time_pass()
        return self._choose(actor, "wait", ready, "free") if ready else None

    def _let_time_pass(self) -> list[Actor]:
        """Nobody else can run: the clock goes on to the earliest deadline. Daemonic threads alone keep no run alive."""
        waiting = [other for other in self.actors if other.state is State.BLOCKED and other.deadline is not None]
        if not waiting:
            return []
        self.clock = max(self.clock, min(other.deadline or 0.0 for other in waiting))
        due = [other for other in waiting if (other.deadline or 0.0) <= self.clock]
        for other in due:
            self._time_out(other)
        return due

    def _time_out(self, actor: Actor) -> None:
        assert actor.waits_for is not None
        actor.waits_for.cancel_wait(actor)
        actor.timed_out = True
        self.wake(actor)

    def _choose(self, actor: Actor, where: int | str, ready: list[Actor], kind: str) -> Actor:
        if self.calm:  # in turn, so that nobody starves
            return min(ready, key=lambda other: (other.index <= actor.index, other.index))
        options = [other.index for other in ready]
        if "timeout" in self._faults and self.fault is None:
            options += [~other.index for other in self.actors if other.state is State.BLOCKED and other.deadline is not None]
        if len(options) == 1:
            return ready[0]
        option = options[self._decide(actor, Choice(actor.index, where, tuple(options), kind))]
        if option >= 0:
            return self.actors[option]
        self.fault = "timeout"
        chosen = self.actors[~option]
        self.clock = max(self.clock, chosen.deadline or 0.0)
        self._time_out(chosen)
        return chosen

    def _decide(self, actor: Actor, choice: Choice) -> int:
        try:
            index = self._chooser.choose(len(self.taken), choice, self.steps)
        except DivergedError as error:
            self.fail(Finding(Kind.DIVERGED, str(error)))
            raise _world.Killed from None
        if self.observe is not None:
            self.observe(actor, choice, index)
        self.choices.append(choice)
        self.taken.append(index)
        return index

    def _hand_over(self, actor: Actor, to: Actor) -> None:
        if to is actor:
            return
        self.current = to
        self.switches += 1
        to.stretch = to.polls = 0
        to.gate.release()
        actor.gate.acquire()
        if self.over:
            self.ended(actor)
