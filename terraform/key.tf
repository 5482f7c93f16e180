module "key" {
  count  = var.customer_managed_key ? 1 : 0
  source = "./modules/key"

  prefix     = local.prefix
  account_id = local.account_id
  region     = local.region
  partition  = local.partition
}
