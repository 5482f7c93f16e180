"""What the warehouse would say to a load batch, asked in a transaction that is always rolled back.

Invariant: nothing is ever written but a temporary table that is gone with its transaction, and no star table is locked
against its loader. A rehearsal says what holds now; between it and a replay another batch may be loaded.
"""

from contracts.star import Kind, StarRow
from services.loader.dimensions import dimension_sql
from services.loader.history import fact_sql, refuse_conflict
from services.loader.load import check_time_zone
from services.loader.stage_table import create_stage
from services.loader.staging import Load, stage
from services.loader.warehouse import Warehouse
from shared.errors import PipelineError
from shared.postgres import Connection


class _RolledBack(PipelineError):
    """It went well, and must leave no trace."""


def rehearse(warehouse: Warehouse, table: type[StarRow], load: Load) -> None:
    """Stage a load batch and look for what would refuse it.

    Raises ContractViolation where the warehouse would never take it, WarehouseUnavailable, ConfigurationError.
    """

    def work(connection: Connection) -> None:
        _stage_and_look(connection, table, load)
        raise _RolledBack

    try:
        warehouse.transaction(None, work)
    except _RolledBack:
        return


def _stage_and_look(connection: Connection, table: type[StarRow], load: Load) -> None:
    connection.run(create_stage(table))
    stage(connection, table, load)
    dimension = table.kind() is Kind.DIMENSION
    refuse_conflict(connection, table, (dimension_sql(table) if dimension else fact_sql(table)).find_conflict)
    check_time_zone(connection, load.batch.data.time_zone)
