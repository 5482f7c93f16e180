locals {
  # What `totes --env` knows of a deployment; services/ops/deployed.py reads it.
  stack = {
    environment        = var.environment
    prefix             = local.prefix
    region             = local.region
    buckets            = { for bucket in keys(local.topology.buckets) : bucket => local.bucket_names[bucket] }
    queues             = { for queue in keys(local.topology.queues) : queue => module.queue[queue].url }
    dead_letter_queues = { for queue in keys(local.topology.queues) : queue => module.queue[queue].dead_letters_url }
    secrets            = local.secret_names
    warehouse_schema   = var.warehouse_schema
    time_zone          = var.time_zone
  }
}

# In the account, so that an operator needs neither Terraform nor its state.
resource "aws_ssm_parameter" "stack" {
  #checkov:skip=CKV2_AWS_34: names and addresses, nothing secret; who may read it needs no key
  name        = "/${local.topology.prefix}/${var.environment}/stack"
  description = "What this deployment consists of, for the totes command."
  type        = "String"
  value       = jsonencode(local.stack)
}

output "stack" {
  description = "What the parameter says to the totes command: names of buckets and secrets, URLs of queues."
  value       = local.stack
}
