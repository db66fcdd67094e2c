"""Every schedule, within a bound, of small scenarios of our own code: `python -m schedules` (from stress/)."""

from . import calls as calls
from . import claims as claims
from . import deliveries as deliveries
from . import forks as forks
from . import functions as functions
from . import streams as streams
from . import workers as workers
