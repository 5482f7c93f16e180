"""A pytest plugin for runs over deliberate bugs: Hypothesis looks for a failure and does not make it small.

Making it small would take longer than all else, and nobody reads the example: the bug is known.
"""

from hypothesis import Phase, settings

settings.register_profile("mutations", phases=[Phase.explicit, Phase.generate], database=None)
settings.load_profile("mutations")
