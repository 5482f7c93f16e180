output "topics" {
  description = "ARN of each topic: critical, warning, alarms."
  value       = { for name, topic in aws_sns_topic.of : name => topic.arn }
}

output "composites" {
  description = "ARN of each severity's composite alarm, known before it is made."
  value       = { for severity in ["critical", "warning"] : severity => "${local.arn}${var.prefix}-${severity}" }
}

output "leaves" {
  description = "Name of each leaf: its alarm, resource, severity and ARN, known before it is made."
  value = {
    for name, leaf in local.leaves : name => {
      alarm    = leaf.alarm
      resource = leaf.resource
      severity = leaf.severity
      arn      = "${local.arn}${name}"
    }
  }
}
