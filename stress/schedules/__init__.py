"""Every schedule, within a bound, of small scenarios of our own code: `python -m schedules` (from stress/)."""

from . import calls as calls
from . import chains as chains
from . import claims as claims
from . import deliveries as deliveries
from . import exits as exits
from . import fork_places as fork_places
from . import forks as forks
from . import functions as functions
from . import references as references
from . import streams as streams
from . import turnstiles as turnstiles
from . import workers as workers
