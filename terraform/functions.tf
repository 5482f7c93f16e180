# What Lambda runs lies in the artefacts bucket under the digest of its bytes: equal bytes are deployed once, and an earlier
# package is deployed again by putting it back into packages_dir.
locals {
  packages = {
    for name in concat(keys(local.topology.functions), [for layer in keys(local.topology.layers) : "layer-${layer}"]) :
    name => "${var.packages_dir}/${name}.zip"
  }
}

resource "aws_s3_object" "package" {
  for_each = local.packages

  bucket = module.artefacts.name
  key    = "${each.key}/${filesha256(each.value)}.zip"
  source = each.value

  lifecycle {
    create_before_destroy = true # what runs must be there until the new runs
  }
}

resource "aws_lambda_layer_version" "shared" {
  for_each = local.topology.layers

  layer_name               = "${local.prefix}-${each.key}"
  description              = each.value.purpose
  compatible_runtimes      = [local.topology.lambda.runtime]
  compatible_architectures = [local.topology.lambda.architecture]
  s3_bucket                = aws_s3_object.package["layer-${each.key}"].bucket
  s3_key                   = aws_s3_object.package["layer-${each.key}"].key
  source_code_hash         = filebase64sha256(local.packages["layer-${each.key}"])

  lifecycle {
    create_before_destroy = true
  }
}

module "function" {
  for_each = local.topology.functions
  source   = "./modules/function"

  name               = "${local.prefix}-${each.key}"
  handler            = each.value.handler
  runtime            = local.topology.lambda.runtime
  architecture       = local.topology.lambda.architecture
  memory_mb          = each.value.memory_mb
  timeout_seconds    = each.value.timeout_seconds
  environment        = local.environment[each.key]
  log_retention_days = local.topology.lambda.log_retention_days
  scheduled          = contains(keys(local.topology.schedules), each.key)

  package = {
    bucket = aws_s3_object.package[each.key].bucket
    key    = aws_s3_object.package[each.key].key
    hash   = filebase64sha256(local.packages[each.key])
  }
  layer_arns = [for layer in each.value.layers : aws_lambda_layer_version.shared[layer].arn]

  statements           = local.statements[each.key]
  permissions_boundary = var.permissions_boundary
  key_arn              = local.key_arn
  encrypted_services   = ["s3", "sqs", "secretsmanager"]
  network              = one(module.network[*].attachment)
  account_id           = local.account_id
  region               = local.region
  partition            = local.partition
}

resource "aws_lambda_event_source_mapping" "consumer" {
  for_each = local.topology.event_source_mappings

  event_source_arn        = module.queue[each.value.queue].arn
  function_name           = module.function[each.key].name
  batch_size              = each.value.batch_size
  function_response_types = each.value.function_response_types # without it messages that failed would be deleted

  # Rather than reserved concurrency, by which SQS's receives would go on and be throttled until messages are parked.
  scaling_config {
    maximum_concurrency = each.value.maximum_concurrency
  }

  lifecycle {
    precondition {
      condition     = contains(each.value.function_response_types, "ReportBatchItemFailures")
      error_message = "Expected ReportBatchItemFailures: without it Lambda deletes the messages that failed."
    }

    precondition {
      condition     = each.value.batch_size <= 10
      error_message = "Expected a batch of ten at most: more needs a batching window, and the window is delay."
    }
  }
}
