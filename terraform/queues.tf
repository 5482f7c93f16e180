module "queue" {
  for_each = local.topology.queues
  source   = "./modules/queue"

  name                           = "${local.prefix}-${each.key}"
  visibility_timeout_seconds     = local.visibility_timeout_seconds[each.key]
  retention_seconds              = each.value.retention_days * local.day_seconds
  dead_letters_retention_seconds = each.value.dead_letter_retention_days * local.day_seconds
  max_receive_count              = each.value.max_receive_count
  arn_prefix                     = local.arn.sqs
  key_arn                        = local.key_arn
}
