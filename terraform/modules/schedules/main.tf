# EventBridge invokes each function at its rate. What it could not deliver lies in one dead-letter queue, with the reason.
resource "aws_scheduler_schedule" "this" {
  #checkov:skip=CKV_AWS_297: the payload is {}, which needs no key
  for_each = var.schedules

  name                = "${var.prefix}-${each.key}"
  schedule_expression = each.value.expression

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = each.value.function_arn
    role_arn = aws_iam_role.this.arn
    input    = "{}"

    # An invocation that is older than its successor is worth nothing.
    retry_policy {
      maximum_event_age_in_seconds = max(60, each.value.period_seconds)
      maximum_retry_attempts       = 3
    }

    dead_letter_config {
      arn = aws_sqs_queue.dead_letters.arn
    }
  }

  depends_on = [aws_iam_role_policy.this]
}

resource "aws_sqs_queue" "dead_letters" {
  name                      = local.dead_letters_name
  message_retention_seconds = var.dead_letters_retention_seconds
  sqs_managed_sse_enabled   = var.key_arn == null ? true : null
  kms_master_key_id         = var.key_arn

  # No queue may redrive into it: only invocations end here.
  redrive_allow_policy = jsonencode({ redrivePermission = "denyAll" })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "NothingWithoutTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*" # of a denial, so that none is forgotten
      Resource  = local.dead_letters_arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

resource "aws_iam_role" "this" {
  name                 = "${var.prefix}-schedules"
  description          = "What EventBridge may do to keep the schedules of ${var.prefix}."
  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = { # or a schedule in another account could have it invoke for itself
        StringEquals = {
          "aws:SourceAccount" = var.account_id
          "aws:SourceArn"     = "arn:${var.partition}:scheduler:${var.region}:${var.account_id}:schedule-group/default"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "own"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        { Effect = "Allow", Action = ["lambda:InvokeFunction"], Resource = values(var.function_arns) },
        { Effect = "Allow", Action = ["sqs:SendMessage"], Resource = [local.dead_letters_arn] },
      ],
      var.key_arn == null ? [] : [{
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = [var.key_arn]
        Condition = { StringEquals = { "kms:ViaService" = "sqs.${var.region}.amazonaws.com" } }
      }],
    )
  })
}

locals {
  dead_letters_name = "${var.prefix}-schedules-dlq"
  dead_letters_arn  = "arn:${var.partition}:sqs:${var.region}:${var.account_id}:${local.dead_letters_name}"
}
