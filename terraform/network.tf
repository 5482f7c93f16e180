module "network" {
  count  = var.vpc == null ? 0 : 1
  source = "./modules/network"

  prefix          = local.prefix
  region          = local.region
  subnet_ids      = var.vpc.subnet_ids
  route_table_ids = var.vpc.route_table_ids
  databases       = var.vpc.databases
  endpoints       = var.vpc.endpoints
  services        = concat(["sqs", "secretsmanager"], var.customer_managed_key ? ["kms"] : [])
}
