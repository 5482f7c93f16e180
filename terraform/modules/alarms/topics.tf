# critical and warning: what the composite of that name says, for people. alarms: what every leaf says, for machines and
# for those who ask for every mail.
locals {
  topics = toset(["critical", "warning", "alarms"])

  subscriptions = merge([
    for topic, emails in { critical = var.emails.critical, warning = var.emails.warning, alarms = var.emails.every } : {
      for email in emails : "${topic} ${email}" => { topic = topic, email = email }
    }
  ]...)
}

resource "aws_sns_topic" "of" {
  for_each = local.topics

  name              = "${var.prefix}-${each.key}"
  kms_master_key_id = var.key_arn
}

resource "aws_sns_topic_policy" "of" {
  for_each = local.topics

  arn = aws_sns_topic.of[each.key].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AlarmsOfThisDeployment"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.of[each.key].arn
        Condition = {
          StringEquals = { "aws:SourceAccount" = var.account_id }
          ArnLike      = { "aws:SourceArn" = "${local.arn}${var.prefix}-*" }
        }
      },
      {
        Sid       = "NothingWithoutTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.of[each.key].arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = local.subscriptions

  topic_arn = aws_sns_topic.of[each.value.topic].arn
  protocol  = "email" # confirmed by whoever opens the mail that AWS sends
  endpoint  = each.value.email
}

locals {
  arn = "arn:${var.partition}:cloudwatch:${var.region}:${var.account_id}:alarm:" # what every alarm's ARN begins with
}
