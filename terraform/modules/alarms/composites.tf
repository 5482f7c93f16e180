# One alarm for each severity, over all of its leaves: an outage that makes twenty of them ring sends one mail.
locals {
  most_children     = 100   # of a composite alarm, by AWS
  longest_rule      = 10240 # characters, by AWS
  suppressed_within = 300   # seconds: a warning that is the first sign of an outage waits so long for the heartbeat to be missed

  rule = {
    for severity in ["critical", "warning"] : severity => join(" OR ", [
      for name, leaf in local.leaves : "ALARM(\"${aws_cloudwatch_metric_alarm.leaf[name].alarm_name}\")" if leaf.severity == severity
    ])
  }
  children = { for severity in ["critical", "warning"] : severity => [for leaf in local.leaves : leaf if leaf.severity == severity] }
}

resource "aws_cloudwatch_composite_alarm" "critical" {
  alarm_name        = "${var.prefix}-critical"
  alarm_description = "Changes do not reach the warehouse, or no longer in time, until somebody acts. Look for the alarm in ALARM that this one names: its own description says what to do, and ${var.runbook_url} has a section of its name."
  alarm_rule        = local.rule["critical"]
  alarm_actions     = [aws_sns_topic.of["critical"].arn]
  ok_actions        = [aws_sns_topic.of["critical"].arn]

  lifecycle {
    precondition {
      condition     = length(local.children["critical"]) <= local.most_children && length(local.rule["critical"]) <= local.longest_rule
      error_message = "A composite alarm takes ${local.most_children} alarms in a rule of ${local.longest_rule} characters: make some of the critical ones warnings, or shorten the prefix."
    }
  }
}

resource "aws_cloudwatch_composite_alarm" "warning" {
  alarm_name        = "${var.prefix}-warning"
  alarm_description = "Somebody should look within a day; nothing is lost. Look for the alarm in ALARM that this one names: its own description says what to do, and ${var.runbook_url} has a section of its name. While ${var.prefix}-critical is in ALARM this one sends nothing."
  alarm_rule        = local.rule["warning"]
  alarm_actions     = [aws_sns_topic.of["warning"].arn]
  ok_actions        = [aws_sns_topic.of["warning"].arn]

  actions_suppressor {
    alarm            = aws_cloudwatch_composite_alarm.critical.alarm_name
    wait_period      = local.suppressed_within
    extension_period = local.suppressed_within
  }

  lifecycle {
    precondition {
      condition     = length(local.children["warning"]) <= local.most_children && length(local.rule["warning"]) <= local.longest_rule
      error_message = "A composite alarm takes ${local.most_children} alarms in a rule of ${local.longest_rule} characters: leave some of the warnings out, or shorten the prefix."
    }
  }
}
