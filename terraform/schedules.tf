module "schedules" {
  source = "./modules/schedules"

  prefix = local.prefix
  schedules = {
    for function, schedule in local.topology.schedules : function => {
      expression     = local.schedule_expressions[function]
      period_seconds = schedule.every_minutes * local.minute_seconds
      function_arn   = module.function[function].arn
    }
  }
  function_arns                  = { for function in keys(local.topology.schedules) : function => local.function_arns[function] }
  dead_letters_retention_seconds = local.longest_dead_letter_days * local.day_seconds
  permissions_boundary           = var.permissions_boundary
  key_arn                        = local.key_arn
  account_id                     = local.account_id
  region                         = local.region
  partition                      = local.partition
}
