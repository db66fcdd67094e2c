/* The life of the portals: start, calls, stop, crash, close, fork. Checked by Spin: `make model`, see check_model.py.

What is modelled, and where it stands in the code. A step here is what no other thread can come between in the code (one
operation on a dict, list or flag), with what only its own thread sees.

    Caller    syncify's wrapper and _run; Dispatcher.run. Its labels: `find` is Portals.default with _replace_default and _start,
              `wait_ready` is PortalThread.wait_ready, `hand_over` Dispatcher.hand_over with the wake-up, `take_back` its last
              line, `waiting` Call.wait with Dispatcher.look_after, `finished` Call.take
    Loop      PortalThread._run, and Dispatcher.serve inside. `end_turning` is the loop while OPEN, `soft` is
              AsyncioTasks.drain(hard=False) after portal.stop, `hard` drain(hard=True) after a crash, `end_of_serve` the bury at
              the end of serve and then the loop's close, `dropped` a loop that ends without letting serve finish
    init      the process's main thread: the closers, each of which may stop a portal (portal.stop), crash it (loop.stop under
              run_until_complete), or have its thread end in the middle (kill), at any moment; then one call more, of LAST.
              `fork_here`: the child's hooks, Portals.after_fork_in_child and Dispatcher.inherit, run on the thread of caller 0
              (a signal handler) at any point of its call; all other threads are gone then
    inlines   finish, refuse, bury, start: Dispatcher._finish, _turn_away (and the second half of bury), bury, _start

What must hold, of every order of those steps:

    - each call has one outcome: its doorbell rings once for each portal that it was given to, and with an outcome;
    - its coroutine runs at most once, on a loop that is not closed, and exactly once if there is a value;
    - while portals are only stopped, every call ends with its value, on this portal or the next: S4, P2;
    - nobody waits for ever (no invalid end state), nobody runs in circles (no cycle at all, in the setting `progress`);
    - a stop or a crash leaves nobody to the health check: that one is for loops that were dropped, or left behind by a fork;
    - who was told that the loop is closed does not wait for it;
    - at most one default portal is usable, and one call more at the end gets its value from it: P1, P2.

What is not modelled: cancellation, re-entrant calls and reserve portals, portals of the user's, the exit, memory order (the
interpreter has none), what a coroutine does, time. A health check that changes nothing is left out. The calls are started, and
buried, in the order of their numbers, where the code goes by their age. The birth of a portal, from its thread's claim until it
is ready, is one step: nobody reads what lies between. An outcome and its ring are one, too: only refusals are renewed. With ONCE, a refused caller ends, where the code goes
on as one that comes new.

Each VARIANT_... is an error put in on purpose: check_model.py lists them and demands that every one is found. */

#ifndef CALLERS
#define CALLERS 3
#endif
#ifndef CLOSERS
#define CLOSERS 2
#endif
#ifndef LOOPS
#define LOOPS (CLOSERS + 1)
#endif
#define CALLS (CALLERS + 1)
#define LAST CALLERS
#define NOBODY LOOPS             /* as a portal: the placeholder that stands before the first one */
#define NONE_YET (LOOPS + 1)
#define BIT(c) (1 << (c))

mtype:state = { NEW, OPEN, CLOSED };
mtype:thread = { UNBORN, ALIVE, DEAD };
mtype:outcome = { NONE, VALUE, DIED, CANCELLED, REFUSED };

typedef Portal {
    mtype:thread thread = UNBORN;
    bool unclaimed = true;      /* PortalThread._unclaimed */
    bool ready;                 /* PortalThread._ready */
    bool failed;                /* PortalThread._error */
    bool served;                /* PortalThread.dispatcher is there */
    bool ident;                 /* BlockingPortal._event_loop_thread_id is not None */
    mtype:state state = NEW;    /* Dispatcher._state */
    bool closed;                /* the loop is */
    bool dropped;               /* its thread ended without letting `serve` finish */
    bool left;                  /* behind, in the parent */
    byte woken;                 /* the callbacks `_start(call)` in the loop's queue: a bit for each call */
    bool stop, crash, kill      /* what was done to it, and the loop is still to notice */
}
typedef Call {
    byte at = NOBODY;           /* the dispatcher whose `_calls` has it */
    bool claim;                 /* the claim there is still to be had */
    bool task;                  /* it was begun, as a task, and is not over */
    bool begun;
    bool refused, done;
    bool bell;                  /* the doorbell rings */
    byte age;                   /* which doorbell it is: `renew` takes another */
    byte ran;
    mtype:outcome outcome = NONE
}
Portal portal[LOOPS];
Call call[CALLS];
byte born;                      /* how many portals were made */
byte standard = NOBODY;         /* Portals._default */
byte cached = NOBODY;           /* Portals.dispatcher */
byte successor[LOOPS + 1] = NONE_YET; /* PortalThread.successor */
bool start_failed, in_child;
bool harmed;                    /* a portal crashed, was dropped, or was left behind */
byte begun;                     /* how many callers have: in order, as they are alike */
byte ended;                     /* how many callers have */

#define ACCEPTS(p) (portal[p].state == OPEN && portal[p].ident)
#define USABLE(p) (!portal[p].ready || (!portal[p].failed && portal[p].served && ACCEPTS(p)))
#define IS_DEAD(p) (portal[p].closed || portal[p].thread == DEAD)
#define HAS(p, c) (call[c].at == (p))
#define UNSTARTED(p, c) (HAS(p, c) && call[c].claim)
#define UNBEGUN(p, c) (HAS(p, c) && !call[c].begun)
#define TASK(p, c) (HAS(p, c) && call[c].task)
#define ANY(what, p) (what(p, 0) || what(p, 1) || what(p, CALLS - 2) || what(p, LAST))
#define CALLS_OF(p) (HAS(p, 0) | HAS(p, 1) << 1 | HAS(p, CALLS - 2) << (CALLS - 2) | HAS(p, LAST) << LAST)
#define PICK(what, p) \
    ANY(what, p) -> \
    if :: what(p, 0) -> c = 0 :: what(p, 1) -> c = 1 :: what(p, CALLS - 2) -> c = CALLS - 2 :: what(p, LAST) -> c = LAST fi
#define NEXT_WAKE_UP(p) \
    portal[p].woken -> do :: portal[p].woken & BIT(c) -> break :: else -> c++ od; portal[p].woken = portal[p].woken & ~BIT(c)
#define PENDING(p) (p < LOOPS && portal[p].thread == ALIVE && (portal[p].stop || portal[p].crash || portal[p].kill))
#ifdef VARIANT_DEFAULT_IS_NOT_REPLACED
#define WILL_DO(p) (p != NOBODY)
#else
#define WILL_DO(p) (p != NOBODY && USABLE(p))
#endif
#ifdef ONCE
#define AGAIN if :: me != LAST -> call[me].outcome = REFUSED; goto finished :: else -> goto find fi
#else
#define AGAIN goto find
#endif

/* Whoever takes the call out of `_calls` rings, and nobody else. Nobody renews a call that has an outcome. */
inline finish(p, c, why) {
    if
#ifdef VARIANT_TWO_FINISH_ONE_CALL
    :: HAS(p, c) -> call[c].at = NOBODY;
#else
    :: atomic { HAS(p, c) -> call[c].at = NOBODY; call[c].claim = false };
#endif
       atomic {
           call[c].task = false; call[c].outcome = why; call[c].done = true;
           assert(!call[c].bell); call[c].bell = true; c = 0
       }
    :: atomic { !HAS(p, c) -> c = 0 }
    fi
}
/* The call never began: another portal may run it. */
inline refuse(p, c) {
    if
    :: atomic { HAS(p, c) -> going = false; call[c].at = NOBODY; call[c].claim = false };
       atomic { call[c].refused = true; my = call[c].age; call[c].done = true };
       atomic {
           if
#ifdef VARIANT_RINGS_THE_NEXT_DOORBELL
           :: true -> call[c].bell = true
#else
           :: my == call[c].age -> assert(!call[c].bell); call[c].bell = true
           :: else                                          /* nobody hears the old one any more */
#endif
           fi;
           my = 0; c = 0
       }
    :: atomic { !HAS(p, c) -> c = 0; going = false }
    fi
}
inline bury(p) {
    if
    :: portal[p].state != CLOSED -> portal[p].state = CLOSED
    :: else
    fi;
#ifndef VARIANT_BURY_FORGETS_CALLS
    atomic {
        mine = 0; c = 0;
        do :: c < CALLS -> mine = mine | (HAS(p, c) << c); c++ :: else -> break od;
        c = 0
    }
    do
    :: atomic { (mine & CALLS_OF(p)) == 0 -> mine = 0; c = 0; break }
    :: atomic { (mine & CALLS_OF(p)) != 0 ->
           mine = mine & CALLS_OF(p); c = 0;
           do :: mine & BIT(c) -> break :: else -> c++ od;
           mine = mine & ~BIT(c);
           if
           :: UNSTARTED(p, c) -> call[c].claim = false; going = true
#ifdef VARIANT_BURY_FAILS_WHAT_NEVER_BEGAN
           :: else -> going = false
#else
           :: else -> going = !call[c].begun                /* its caller is about to take it back */
#endif
           fi
       };
       if
       :: going -> refuse(p, c)
       :: else -> finish(p, c, DIED)
       fi
    od
#endif
}
inline start(p, c) {
    if
#ifdef VARIANT_CLAIM_IS_NOT_ATOMIC
    :: UNSTARTED(p, c) -> call[c].claim = false;
#else
    :: atomic { UNSTARTED(p, c) -> call[c].claim = false };
#endif
       atomic {
           assert(!portal[p].closed);
           call[c].task = true; call[c].begun = true; call[c].ran++;
           assert(call[c].ran == 1);
           c = 0
       }
    :: atomic { !UNSTARTED(p, c) -> going = HAS(p, c) && !call[c].begun; if :: going :: else -> c = 0 fi };
       if
       :: going -> refuse(p, c)                             /* its caller is about to take it back */
       :: else
       fi
    fi
}

proctype Loop(byte p) {
    byte c, mine, my;
    bool going;
    {
        if
        :: atomic { portal[p].unclaimed -> portal[p].unclaimed = false;
            portal[p].ident = true; portal[p].served = true; portal[p].state = OPEN; portal[p].ready = true }
        :: !portal[p].unclaimed -> goto gone
        fi;
end_turning:
        do
        :: portal[p].kill -> goto dropped
        :: portal[p].crash -> goto hard
        :: atomic { portal[p].stop -> portal[p].stop = false; portal[p].ident = false }
        :: atomic { !portal[p].ident -> portal[p].state = CLOSED; goto soft }
        :: atomic { NEXT_WAKE_UP(p) }; start(p, c)
        :: atomic { PICK(TASK, p) }; finish(p, c, VALUE)
        od;
soft:
        do
#ifdef VARIANT_CLOSES_WITHOUT_DRAIN
        :: true -> break
#endif
        :: portal[p].kill -> goto dropped
        :: portal[p].crash -> goto hard
        :: !ANY(HAS, p) -> break
        :: atomic { PICK(UNBEGUN, p) }; start(p, c)
        :: atomic { NEXT_WAKE_UP(p) }; start(p, c)
        :: atomic { PICK(TASK, p) }; finish(p, c, VALUE)
        od;
        goto end_of_serve;
hard:
        atomic { harmed = true; portal[p].failed = true; portal[p].state = CLOSED };
        do
#ifdef VARIANT_CRASH_FORGETS_TASKS
        :: true -> break
#endif
        :: portal[p].kill -> goto dropped
        :: !ANY(HAS, p) -> break
        :: atomic { PICK(UNBEGUN, p); call[c].claim = false }; finish(p, c, CANCELLED)
        :: atomic { NEXT_WAKE_UP(p) }; start(p, c)
        :: atomic { PICK(TASK, p) };
           if
           :: finish(p, c, CANCELLED)
           :: finish(p, c, VALUE)
           fi
        od;
end_of_serve:
#ifdef VARIANT_CRASH_FORGETS_TASKS
        portal[p].state = CLOSED;
#else
        bury(p);
#endif
        atomic { assert(!ANY(TASK, p)); portal[p].closed = true; goto gone };
dropped:
        atomic {
            harmed = true; portal[p].dropped = true;
            if
            :: portal[p].closed = true
            :: true
            fi
        };
gone:
        atomic {
            portal[p].ready = true; portal[p].thread = DEAD; portal[p].woken = 0;
            portal[p].stop = false; portal[p].crash = false; portal[p].kill = false
        }
    }
#ifdef FORK
    unless { portal[p].left }
#endif
}

proctype Caller(byte me) {
    byte d, c, mine, my;
    bool going, told, new;
    {
        atomic { me == LAST || me == begun -> begun++; d = cached };
        if :: d != NOBODY -> goto hand_over :: d == NOBODY fi;
find:
        d = standard;
succeed:
        if
        :: WILL_DO(d) -> goto wait_ready
        :: atomic { !WILL_DO(d) && successor[d] != NONE_YET -> d = successor[d]; goto succeed }
        :: !WILL_DO(d) && successor[d] == NONE_YET
        fi;
#ifdef VARIANT_LOOKS_FOR_A_SUCCESSOR_BEFORE_IT_SETS_ONE
        if :: successor[d] != NONE_YET -> new = false; d = successor[d]; goto told_of_it :: else fi;
        atomic { new = true;
#else
#ifdef VARIANT_EVERYBODY_STARTS_ONE
        atomic { new = true;
#else
        atomic { new = successor[d] == NONE_YET;
#endif
#endif
            if
            :: new ->
                c = 0;
                do :: c < born -> assert(!USABLE(c)); c++ :: else -> c = 0; break od;
                assert(born < LOOPS);
                successor[d] = born; d = born; born++
            :: else -> d = successor[d]
            fi
        };
told_of_it:
        standard = d;                                           /* perhaps an older one than is there by now */
        atomic {
            if
            :: !new && d != NOBODY -> goto wait_ready
            :: !new && d == NOBODY -> goto find                 /* a child's placeholder, which was given up */
            :: new && portal[d].left -> portal[d].ready = true; goto find
            :: new && !portal[d].left -> portal[d].thread = ALIVE; run Loop(d)
#ifdef START_FAILS
            :: new && !start_failed -> start_failed = true; portal[d].unclaimed = false; portal[d].failed = true;
#ifndef VARIANT_START_FAILURE_IS_NOT_TOLD
                portal[d].ready = true;
#endif
                call[me].outcome = REFUSED; goto finished
#endif
            fi
        };
wait_ready:
        if
        :: atomic { portal[d].ready && !portal[d].served -> call[me].outcome = REFUSED; goto finished }
        :: portal[d].ready && portal[d].served && USABLE(d) -> cached = d
        :: portal[d].ready && portal[d].served && !USABLE(d) -> goto find
        fi;
hand_over:
#ifdef VARIANT_LOOKS_BEFORE_IT_REGISTERS
        if
        :: ACCEPTS(d) -> atomic { call[me].at = d; call[me].claim = true }
        :: atomic { !ACCEPTS(d) -> call[me].at = d; call[me].claim = true; goto take_back }
        fi;
        if
        :: true ->
#else
        atomic { call[me].at = d; call[me].claim = true };
        if
        :: ACCEPTS(d) ->
#endif
            if
#ifdef VARIANT_WAKES_NOBODY
            :: atomic { !portal[d].closed -> goto waiting }
#else
            :: atomic { !portal[d].closed -> portal[d].woken = portal[d].woken | BIT(me); goto waiting }
#endif
            :: atomic { portal[d].closed -> told = true };
#ifdef VARIANT_WAKE_UP_LOST_ON_A_CLOSED_LOOP
               goto waiting
#else
               bury(d)
#endif
            fi
#ifndef VARIANT_LOOKS_BEFORE_IT_REGISTERS
        :: !ACCEPTS(d)
#endif
        fi;
take_back:
        if
#ifdef VARIANT_TAKES_BACK_WITHOUT_CLAIM
        :: atomic { HAS(d, me) -> call[me].at = NOBODY; call[me].claim = false; AGAIN }
        :: !HAS(d, me)
#else
        :: atomic { UNSTARTED(d, me) -> call[me].claim = false };
           if
           :: atomic { HAS(d, me) -> call[me].at = NOBODY; told = false; AGAIN }
           :: !HAS(d, me)
           fi
        :: !UNSTARTED(d, me)
#endif
        fi;
waiting:
        do
        :: call[me].done || call[me].bell -> break
#ifndef VARIANT_NO_HEALTH_CHECK
        :: IS_DEAD(d) && HAS(d, me) && (portal[d].dropped || portal[d].left) ->
            assert(!told);
            bury(d);
            assert(!HAS(d, me))
#endif
#ifndef VARIANT_CHILD_WAITS_FOR_THE_PARENTS_ANSWER
        :: atomic { portal[d].left && !HAS(d, me) && !call[me].done -> call[me].outcome = DIED; call[me].done = true }
#endif
        od;
        atomic {
            assert(call[me].done);
            told = false;
            if
            :: call[me].refused ->
                call[me].refused = false; call[me].done = false; call[me].bell = false; call[me].age++;
                AGAIN
            :: else
            fi
        };
finished:
        atomic {
            assert(call[me].outcome != NONE);
            assert(call[me].outcome != VALUE || call[me].ran == 1);
            assert(call[me].outcome == VALUE || call[me].outcome == REFUSED || harmed);
            assert(me != LAST || call[me].outcome == VALUE);
            call[me].outcome = NONE; call[me].ran = 0; call[me].begun = false; call[me].age = 0;
            call[me].done = false; call[me].bell = false;
            d = 0
        }
    }
#ifdef FORK
    unless { in_child && me != 0 && me != LAST };
#endif
    ended++
}

#ifdef FORK
/* Everything in one step: the child has no other thread. */
inline fork_here() {
    d_step {
        in_child = true; harmed = true;
        p = 0;
        do
        :: p < born ->
            portal[p].left = true; portal[p].thread = DEAD; portal[p].state = CLOSED;
            portal[p].failed = true; portal[p].unclaimed = false;
#ifndef VARIANT_FORK_KEEPS_THE_PARENTS_STATE
            portal[p].ready = true;
#endif
            if
            :: HAS(p, 0) ->
                call[0].at = NOBODY; call[0].claim = false; call[0].task = false;
                call[0].done = true; call[0].bell = true;
                if
                :: call[0].begun -> call[0].outcome = DIED
                :: else -> call[0].refused = true
                fi
            :: else
            fi;
            p++
        :: else -> break
        od;
#ifndef VARIANT_FORK_KEEPS_THE_PARENTS_STATE
        p = NOBODY;
        do :: successor[p] < LOOPS -> p = successor[p] :: else -> break od;
        successor[p] = NOBODY; successor[NOBODY] = NONE_YET;    /* whoever looks on from one of the parent's finds the child's */
        standard = NOBODY; cached = NOBODY;
#endif
        p = 0
    }
}
#endif

init {
    byte i, p;
#ifdef STARTED
    atomic { portal[0].thread = ALIVE; born = 1; standard = 0; cached = 0; run Loop(0) };
    portal[0].ready;
#endif
    atomic { do :: i < CALLERS -> run Caller(i); i++ :: else -> break od; i = CLOSERS };
    do
    :: atomic {
        i > 0 && ended < CALLERS && born > 0 && !in_child -> i--;
        p = 0;
#ifndef ONCE
        do :: p < born - 1 -> if :: true -> break :: true -> p++ fi :: else -> break od;
#endif
        if
        :: portal[p].ident && !portal[p].closed && portal[p].thread == ALIVE -> portal[p].stop = true
        :: portal[p].ready && portal[p].thread == ALIVE && !portal[p].closed && !portal[p].failed -> portal[p].crash = true
#ifdef KILL
        :: portal[p].ready && portal[p].thread == ALIVE -> portal[p].kill = true
#endif
        :: else
        fi;
        p = 0
       }
#ifdef FORK
    :: ended < CALLERS && born > 0 && !in_child -> fork_here()
#endif
    :: ended == CALLERS && !PENDING(0) && !PENDING(1) && !PENDING(2) -> break
    od;
    atomic { i = 0; run Caller(LAST) };
    ended == CALLERS + 1
}
