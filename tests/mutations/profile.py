"""A pytest plugin for runs over deliberate bugs: Hypothesis looks for a failure and does not make it small.

Making it small would take longer than all else, and nobody reads the example: the bug is known. A run that is told to
end stops its Postgres first.
"""

import signal

from hypothesis import Phase, settings

signal.signal(signal.SIGTERM, signal.default_int_handler)
settings.register_profile("mutations", deadline=None, phases=[Phase.explicit, Phase.generate], database=None)
settings.load_profile("mutations")
