"""Makes totesys live: seeds it, then changes it the way the real one changes, silent updates and late commits included.

Rows carry the database server's own clock; the calendar (due dates, the morning payment job) may run faster.
"""

from services.local.simulator.plan import Kind
from services.local.simulator.simulator import Simulator, SimulatorOptions

__all__ = ["Kind", "Simulator", "SimulatorOptions"]
