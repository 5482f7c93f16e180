# A standard queue with its dead-letter queue. Both policies name ARNs that follow from the names, so that neither queue has
# to wait for the other, nor for a policy of its own.
resource "aws_sqs_queue" "dead_letters" {
  name                              = "${var.name}-dlq"
  message_retention_seconds         = var.dead_letters_retention_seconds
  sqs_managed_sse_enabled           = var.key_arn == null ? true : null
  kms_master_key_id                 = var.key_arn
  kms_data_key_reuse_period_seconds = var.key_arn == null ? null : local.key_reuse_seconds
  policy                            = local.policy["${var.name}-dlq"]

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = ["${var.arn_prefix}:${var.name}"]
  })
}

resource "aws_sqs_queue" "work" {
  name                              = var.name
  visibility_timeout_seconds        = var.visibility_timeout_seconds
  message_retention_seconds         = var.retention_seconds
  sqs_managed_sse_enabled           = var.key_arn == null ? true : null
  kms_master_key_id                 = var.key_arn
  kms_data_key_reuse_period_seconds = var.key_arn == null ? null : local.key_reuse_seconds
  policy                            = local.policy[var.name]

  redrive_policy = jsonencode({
    deadLetterTargetArn = "${var.arn_prefix}:${var.name}-dlq"
    maxReceiveCount     = var.max_receive_count
  })

  depends_on = [aws_sqs_queue.dead_letters]
}

locals {
  key_reuse_seconds = 3600 # a call of KMS an hour and sender rather than one in five minutes; the key never leaves SQS

  policy = {
    for name in [var.name, "${var.name}-dlq"] : name => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Sid       = "NothingWithoutTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*" # of a denial, so that none is forgotten
        Resource  = "${var.arn_prefix}:${name}"
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }]
    })
  }
}
