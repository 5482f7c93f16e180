# The whole path on one page, from the same topology: one more queue or function is seen without a line here.
module "dashboard" {
  source = "./modules/alarm_dashboard"

  prefix     = local.prefix
  topology   = local.topology
  buckets    = { for name in ["archive", "processed"] : name => local.bucket_names[name] }
  alarm_arns = concat(values(module.alarms.composites), [for leaf in module.alarms.leaves : leaf.arn])
  region     = local.region
}
