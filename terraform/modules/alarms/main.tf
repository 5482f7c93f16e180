# Every alarm of topology.yaml, once for each of its resources (a leaf). A number that follows from another is derived
# here exactly as services/local/alarms.py derives it; a test holds the two equal.
locals {
  minute_seconds = 60

  resources = {
    queues                = keys(var.topology.queues)
    dead_letter_queues    = keys(var.topology.queues)
    schedule_dead_letters = ["schedules"]
    functions             = keys(var.topology.functions)
    schedules             = keys(var.topology.schedules)
    feeds                 = concat(var.topology.feeds.loaded, var.topology.feeds.archived)
    loaded_feeds          = var.topology.feeds.loaded
  }
  alone = ["schedule_dead_letters", "service"] # what there is only one of goes by the alarm's name alone

  leaves = merge([
    for alarm, described in var.topology.alarms : {
      for resource in try(local.resources[described.over], [described.service]) :
      join("-", concat([var.prefix, alarm], contains(local.alone, described.over) ? [] : [resource])) => merge(described, {
        alarm    = alarm
        resource = resource
      })
    }
  ]...)

  kind = { # whose metric it is
    queues                = "AWS/SQS"
    dead_letter_queues    = "AWS/SQS"
    schedule_dead_letters = "AWS/SQS"
    functions             = "AWS/Lambda"
    schedules             = "AWS/Lambda"
  }
  queue_suffix = { queues = "", dead_letter_queues = "-dlq", schedule_dead_letters = "-dlq" }

  dimensions = {
    for name, leaf in local.leaves : name => {
      for dimension, value in {
        QueueName    = try("${var.prefix}-${leaf.resource}${local.queue_suffix[leaf.over]}", null)
        FunctionName = contains(["functions", "schedules"], leaf.over) ? "${var.prefix}-${leaf.resource}" : null
        service      = leaf.service
        feed         = contains(["feeds", "loaded_feeds"], leaf.over) ? leaf.resource : null
      } : dimension => value if value != null
    }
  }

  # A function that runs once an hour is silent for an hour, and never fails in three minutes running: of a scheduled one
  # a period is one in which its schedule has surely fired.
  fired_seconds = {
    for function, schedule in var.topology.schedules :
    function => schedule.every_minutes * local.minute_seconds + var.topology.rules.schedule_late_seconds
  }
  period_seconds = {
    for name, leaf in local.leaves : name => max(
      leaf.period_seconds,
      contains(["functions", "schedules"], leaf.over) ? lookup(local.fired_seconds, leaf.resource, 0) : 0
    )
  }

  # In milliseconds where it is a share of a timeout, since that is what Lambda measures in.
  threshold = {
    for name, leaf in local.leaves : name => leaf.threshold_of == "timeout" ? leaf.threshold * 10 * var.topology.functions[leaf.resource].timeout_seconds : leaf.threshold
  }
}

resource "aws_cloudwatch_metric_alarm" "leaf" {
  for_each = local.leaves

  alarm_name        = each.key
  alarm_description = "${each.value.runbook} Runbook: ${var.runbook_url}#${each.value.alarm}"

  namespace           = lookup(local.kind, each.value.over, var.prefix)
  metric_name         = each.value.metric
  dimensions          = local.dimensions[each.key]
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison
  threshold           = local.threshold[each.key]
  period              = local.period_seconds[each.key]
  evaluation_periods  = each.value.periods
  treat_missing_data  = each.value.missing_data

  alarm_actions = [aws_sns_topic.of["alarms"].arn]
  ok_actions    = [aws_sns_topic.of["alarms"].arn]

  lifecycle {
    create_before_destroy = true # a composite must let go of an alarm before it can be destroyed

    precondition {
      condition     = length("${each.value.runbook} Runbook: ${var.runbook_url}#${each.value.alarm}") <= 1024
      error_message = "The description of ${each.key} is longer than the 1,024 characters that CloudWatch takes: shorten its runbook in topology.yaml."
    }
  }
}
