# Alarms and whom they tell. Every one is described in topology.yaml; docs/operations.md has a section for each.
module "alarms" {
  source = "./modules/alarms"

  prefix      = local.prefix
  topology    = local.topology
  runbook_url = var.runbook_url
  emails      = var.alarm_emails
  account_id  = local.account_id
  region      = local.region
  partition   = local.partition
  key_arn     = local.key_arn
}
