# The alarms, without an account: what topology.yaml comes to, and that each rule of the modules refuses what breaks it.
mock_provider "aws" {}

override_resource {
  target          = aws_sns_topic.of["critical"]
  override_during = plan
  values          = { arn = "arn:aws:sns:eu-west-2:123456789012:totes-prod-critical" }
}

override_resource {
  target          = aws_sns_topic.of["warning"]
  override_during = plan
  values          = { arn = "arn:aws:sns:eu-west-2:123456789012:totes-prod-warning" }
}

override_resource {
  target          = aws_sns_topic.of["alarms"]
  override_during = plan
  values          = { arn = "arn:aws:sns:eu-west-2:123456789012:totes-prod-alarms" }
}

variables {
  prefix      = "totes-prod"
  topology    = yamldecode(file("topology.yaml"))
  runbook_url = "https://example.com/totes/docs/operations.md"
  account_id  = "123456789012"
  region      = "eu-west-2"
  emails = {
    critical = ["night@example.com"]
    warning  = ["day@example.com", "night@example.com"]
  }

  # The dashboard's alone.
  buckets    = { archive = "totes-prod-archive-123456789012-eu-west-2", processed = "totes-prod-processed-123456789012-eu-west-2" }
  alarm_arns = ["arn:aws:cloudwatch:eu-west-2:123456789012:alarm:totes-prod-critical"]
}

run "one_alarm_for_each_resource" {
  command = plan
  module {
    source = "./modules/alarms"
  }

  assert {
    condition = { for alarm in keys(var.topology.alarms) : alarm => length([for leaf in local.leaves : leaf if leaf.alarm == alarm]) } == {
      queue_backs_up       = length(var.topology.queues)
      queue_stuck          = length(var.topology.queues)
      backlog_grows        = length(var.topology.queues)
      messages_parked      = length(var.topology.queues)
      schedule_undelivered = 1
      function_fails       = length(var.topology.functions)
      function_throttled   = length(var.topology.functions)
      function_slow        = length(var.topology.functions)
      schedule_silent      = length(var.topology.schedules)
      heartbeat_missing    = 1
      feed_stands          = length(var.topology.feeds.loaded) + length(var.topology.feeds.archived)
      freshness_late       = length(var.topology.feeds.loaded)
      freshness_broken     = length(var.topology.feeds.loaded)
      rows_quarantined     = 1
      drift_found          = 1
      deletions_held_back  = 1
      members_inferred     = 1
    }
    error_message = "Expected an alarm of each kind for each of its resources, and no other kind: an alarm that is new in topology.yaml belongs here."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.leaf) == length(local.leaves)
    error_message = "Expected every leaf to be made."
  }
}

run "an_alarm_watches_its_own_resource" {
  command = plan
  module {
    source = "./modules/alarms"
  }

  assert {
    condition = alltrue([
      for name, namespace_and_dimensions in {
        "totes-prod-queue_backs_up-loads"         = ["AWS/SQS", { QueueName = "totes-prod-loads" }]
        "totes-prod-backlog_grows-changes"        = ["AWS/SQS", { QueueName = "totes-prod-changes" }]
        "totes-prod-messages_parked-loads"        = ["AWS/SQS", { QueueName = "totes-prod-loads-dlq" }]
        "totes-prod-schedule_undelivered"         = ["AWS/SQS", { QueueName = "totes-prod-schedules-dlq" }]
        "totes-prod-function_slow-loader"         = ["AWS/Lambda", { FunctionName = "totes-prod-loader" }]
        "totes-prod-schedule_silent-poller"       = ["AWS/Lambda", { FunctionName = "totes-prod-poller" }]
        "totes-prod-heartbeat_missing"            = ["totes-prod", { service = "loader" }]
        "totes-prod-rows_quarantined"             = ["totes-prod", { service = "transform" }]
        "totes-prod-freshness_broken-sales_order" = ["totes-prod", { service = "loader", feed = "sales_order" }]
        "totes-prod-feed_stands-department"       = ["totes-prod", { service = "poller", feed = "department" }]
      } :
      aws_cloudwatch_metric_alarm.leaf[name].namespace == namespace_and_dimensions[0]
      && jsonencode(aws_cloudwatch_metric_alarm.leaf[name].dimensions) == jsonencode(namespace_and_dimensions[1])
    ])
    error_message = "Expected the namespace and the dimensions under which the metric is emitted: any other metric is never there."
  }

  assert {
    condition = alltrue([
      for name, leaf in local.leaves : aws_cloudwatch_metric_alarm.leaf[name].metric_name == leaf.metric
      && aws_cloudwatch_metric_alarm.leaf[name].statistic == leaf.statistic
      && aws_cloudwatch_metric_alarm.leaf[name].comparison_operator == leaf.comparison
      && aws_cloudwatch_metric_alarm.leaf[name].evaluation_periods == leaf.periods
      && aws_cloudwatch_metric_alarm.leaf[name].treat_missing_data == leaf.missing_data
    ])
    error_message = "Expected what topology.yaml says of the alarm."
  }
}

run "what_follows_is_derived" {
  command = plan
  module {
    source = "./modules/alarms"
  }

  assert {
    condition = alltrue([
      for function, described in var.topology.functions :
      aws_cloudwatch_metric_alarm.leaf["totes-prod-function_slow-${function}"].threshold == 950 * described.timeout_seconds
    ])
    error_message = "Expected 95 % of each function's own timeout, in milliseconds."
  }

  assert {
    condition = alltrue([
      for function, schedule in var.topology.schedules :
      aws_cloudwatch_metric_alarm.leaf["totes-prod-function_fails-${function}"].period == 60 * schedule.every_minutes + 60
      && aws_cloudwatch_metric_alarm.leaf["totes-prod-schedule_silent-${function}"].period == max(300, 60 * schedule.every_minutes + 60)
    ])
    error_message = "Expected a scheduled function's period to be one in which its schedule has surely fired: it would flap, or be silent for good reason."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.leaf["totes-prod-function_fails-loader"].period == 60 && aws_cloudwatch_metric_alarm.leaf["totes-prod-queue_stuck-loads"].threshold == 1500
    error_message = "Expected the alarm's own period and threshold where nothing follows."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.leaf : alarm.evaluation_periods * alarm.period <= (alarm.period >= 3600 ? 604800 : 86400)])
    error_message = "Expected CloudWatch to look back no longer than a day, or a week where a period is an hour or more: it refuses the alarm."
  }
}

run "silence_rings_only_where_it_is_the_fault" {
  command = plan
  module {
    source = "./modules/alarms"
  }

  assert {
    condition     = toset([for name, leaf in local.leaves : leaf.alarm if aws_cloudwatch_metric_alarm.leaf[name].treat_missing_data == "breaching"]) == toset(["heartbeat_missing", "schedule_silent"])
    error_message = "Expected missing data to ring for the heartbeat and for schedules alone: everything else is silent on a quiet night."
  }
}

run "every_leaf_tells_the_feed_of_alarms_and_each_severity_its_own_topic" {
  command = plan
  module {
    source = "./modules/alarms"
  }

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.leaf : alarm.alarm_actions == toset([aws_sns_topic.of["alarms"].arn])
      && alarm.ok_actions == toset([aws_sns_topic.of["alarms"].arn])
    ])
    error_message = "Expected ALARM and OK of every leaf on the topic alarms."
  }

  assert {
    condition = alltrue([
      aws_cloudwatch_composite_alarm.critical.alarm_actions == toset([aws_sns_topic.of["critical"].arn]),
      aws_cloudwatch_composite_alarm.critical.ok_actions == toset([aws_sns_topic.of["critical"].arn]),
      aws_cloudwatch_composite_alarm.warning.alarm_actions == toset([aws_sns_topic.of["warning"].arn]),
      aws_cloudwatch_composite_alarm.warning.ok_actions == toset([aws_sns_topic.of["warning"].arn]),
    ])
    error_message = "Expected ALARM and OK of each composite on the topic of its severity."
  }

  assert {
    condition     = aws_cloudwatch_composite_alarm.warning.actions_suppressor[0].alarm == "totes-prod-critical" && length(aws_cloudwatch_composite_alarm.critical.actions_suppressor) == 0
    error_message = "Expected warnings to send nothing while critical rings, and nothing to silence critical."
  }

  assert {
    condition     = aws_cloudwatch_composite_alarm.warning.actions_suppressor[0].wait_period >= aws_cloudwatch_metric_alarm.leaf["totes-prod-heartbeat_missing"].period * aws_cloudwatch_metric_alarm.leaf["totes-prod-heartbeat_missing"].evaluation_periods
    error_message = "Expected a warning to wait until a dead pipeline's heartbeat is missed, or one outage sends two mails."
  }
}

run "a_composite_s_rule_names_every_leaf_of_its_severity_and_no_other" {
  command = plan
  module {
    source = "./modules/alarms"
  }

  assert {
    condition     = toset(split(" OR ", aws_cloudwatch_composite_alarm.critical.alarm_rule)) == toset([for name, leaf in local.leaves : "ALARM(\"${name}\")" if leaf.severity == "critical"])
    error_message = "Expected exactly the critical leaves in the rule of critical."
  }

  assert {
    condition     = toset(split(" OR ", aws_cloudwatch_composite_alarm.warning.alarm_rule)) == toset([for name, leaf in local.leaves : "ALARM(\"${name}\")" if leaf.severity == "warning"])
    error_message = "Expected exactly the warnings in the rule of warning."
  }
}

run "a_description_is_the_runbook_and_where_its_section_stands" {
  command = plan
  module {
    source = "./modules/alarms"
  }

  variables {
    runbook_url = format("https://%s", join("", [for _ in range(242) : "x"]))
  }

  assert {
    condition = alltrue([
      for name, leaf in local.leaves :
      startswith(aws_cloudwatch_metric_alarm.leaf[name].alarm_description, leaf.runbook)
      && endswith(aws_cloudwatch_metric_alarm.leaf[name].alarm_description, "${var.runbook_url}#${leaf.alarm}")
      && length(aws_cloudwatch_metric_alarm.leaf[name].alarm_description) <= 1024
    ])
    error_message = "Expected the runbook, the address of its section, and no more than CloudWatch's 1,024 characters, with the longest address that is allowed."
  }

  assert {
    condition     = max(length(aws_cloudwatch_composite_alarm.critical.alarm_description), length(aws_cloudwatch_composite_alarm.warning.alarm_description)) <= 1024
    error_message = "Expected no more than CloudWatch's 1,024 characters."
  }
}

run "the_longest_prefix_still_fits_into_a_rule" {
  command = plan
  module {
    source = "./modules/alarms"
  }

  variables {
    prefix = format("t%s", join("", [for _ in range(39) : "x"]))
  }

  assert {
    condition     = length(aws_cloudwatch_composite_alarm.warning.alarm_rule) <= 10240
    error_message = "Expected the rule to fit into the 10,240 characters that CloudWatch takes."
  }
}

run "mail_goes_to_whom_the_variable_names" {
  command = plan
  module {
    source = "./modules/alarms"
  }

  assert {
    condition = { for name, subscription in aws_sns_topic_subscription.email : name => [subscription.protocol, subscription.endpoint, subscription.topic_arn] } == {
      "critical night@example.com" = ["email", "night@example.com", aws_sns_topic.of["critical"].arn]
      "warning day@example.com"    = ["email", "day@example.com", aws_sns_topic.of["warning"].arn]
      "warning night@example.com"  = ["email", "night@example.com", aws_sns_topic.of["warning"].arn]
    }
    error_message = "Expected one subscription for each address and topic, and nobody on the topic alarms who did not ask."
  }

  assert {
    condition     = toset([for topic in aws_sns_topic.of : topic.name]) == toset(["totes-prod-critical", "totes-prod-warning", "totes-prod-alarms"])
    error_message = "Expected a topic for each severity and one for all alarms."
  }
}

run "whoever_asks_gets_every_mail" {
  command = plan
  module {
    source = "./modules/alarms"
  }

  variables {
    emails = { every = ["all@example.com"] }
  }

  assert {
    condition     = [for subscription in aws_sns_topic_subscription.email : subscription.topic_arn] == [aws_sns_topic.of["alarms"].arn]
    error_message = "Expected the topic alarms, and no other."
  }
}

run "only_this_deployment_s_alarms_may_publish" {
  command = plan
  module {
    source = "./modules/alarms"
  }

  assert {
    condition = alltrue([
      for policy in aws_sns_topic_policy.of : [for statement in jsondecode(policy.policy).Statement : statement.Principal if statement.Effect == "Allow"] == [{ Service = "cloudwatch.amazonaws.com" }]
      && [for statement in jsondecode(policy.policy).Statement : statement.Condition if statement.Effect == "Allow"] == [{
        StringEquals = { "aws:SourceAccount" = "123456789012" }
        ArnLike      = { "aws:SourceArn" = "arn:aws:cloudwatch:eu-west-2:123456789012:alarm:totes-prod-*" }
      }]
    ])
    error_message = "Expected nobody but CloudWatch to publish, and only for alarms of this deployment: any account could borrow the topic otherwise."
  }

  assert {
    condition = alltrue([
      for policy in aws_sns_topic_policy.of :
      [for statement in jsondecode(policy.policy).Statement : statement.Condition if statement.Effect == "Deny"] == [{ Bool = { "aws:SecureTransport" = "false" } }]
    ])
    error_message = "Expected whatever comes without TLS to be refused."
  }

  assert {
    condition     = alltrue([for topic in aws_sns_topic.of : topic.kms_master_key_id == null])
    error_message = "Expected no key by default: CloudWatch cannot publish to a topic under alias/aws/sns."
  }
}

run "a_key_of_one_s_own_encrypts_the_topics" {
  command = plan
  module {
    source = "./modules/alarms"
  }

  variables {
    key_arn = "arn:aws:kms:eu-west-2:123456789012:key/one"
  }

  assert {
    condition     = alltrue([for topic in aws_sns_topic.of : topic.kms_master_key_id == var.key_arn])
    error_message = "Expected the key that was given."
  }
}

run "a_dashboard_shows_every_step_queue_function_and_feed" {
  command = plan
  module {
    source = "./modules/alarm_dashboard"
  }

  assert {
    condition     = [for widget in jsondecode(aws_cloudwatch_dashboard.path.dashboard_body).widgets : widget.properties.title if widget.y == local.path_y] == local.path[*].title
    error_message = "Expected the steps of the path in their order, from left to right."
  }

  assert {
    condition     = alltrue([for widget in jsondecode(aws_cloudwatch_dashboard.path.dashboard_body).widgets : widget.x + widget.width <= 24])
    error_message = "Expected every widget within the 24 columns of a dashboard."
  }

  assert {
    condition = alltrue([
      for name in concat(
        [for queue in keys(var.topology.queues) : "\"totes-prod-${queue}\""],
        [for queue in keys(var.topology.queues) : "\"totes-prod-${queue}-dlq\""],
        [for function in keys(var.topology.functions) : "\"totes-prod-${function}\""],
        [for feed in concat(var.topology.feeds.loaded, var.topology.feeds.archived) : "\"feed\",\"${feed}\""],
        [for bucket in values(var.buckets) : "\"${bucket}\""],
        ["\"totes-prod-schedules-dlq\""],
      ) : strcontains(aws_cloudwatch_dashboard.path.dashboard_body, name)
    ])
    error_message = "Expected every queue, dead-letter queue, function, feed and bucket of the path to be seen."
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_dashboard.path.dashboard_body).widgets[0].properties.alarms == [for arn in var.alarm_arns : arn] && jsondecode(aws_cloudwatch_dashboard.path.dashboard_body).widgets[0].y == 0
    error_message = "Expected the state of all alarms on top."
  }
}

# -- what is refused

run "an_address_that_is_none" {
  command = plan
  module {
    source = "./modules/alarms"
  }
  variables {
    emails = { critical = ["night"] }
  }
  expect_failures = [var.emails]
}

run "a_runbook_without_tls" {
  command = plan
  module {
    source = "./modules/alarms"
  }
  variables {
    runbook_url = "http://example.com/operations.md"
  }
  expect_failures = [var.runbook_url]
}

run "a_runbook_with_a_section_already" {
  command = plan
  module {
    source = "./modules/alarms"
  }
  variables {
    runbook_url = "https://example.com/operations.md#top"
  }
  expect_failures = [var.runbook_url]
}

run "a_runbook_whose_address_is_too_long" {
  command = plan
  module {
    source = "./modules/alarms"
  }
  variables {
    runbook_url = format("https://%s", join("", [for _ in range(243) : "x"]))
  }
  expect_failures = [var.runbook_url]
}

run "an_account_that_is_none" {
  command = plan
  module {
    source = "./modules/alarms"
  }
  variables {
    account_id = "prod"
  }
  expect_failures = [var.account_id]
}

run "a_region_that_is_none" {
  command = plan
  module {
    source = "./modules/alarms"
  }
  variables {
    region = "London"
  }
  expect_failures = [var.region]
}

run "a_partition_that_is_none" {
  command = plan
  module {
    source = "./modules/alarms"
  }
  variables {
    partition = "azure"
  }
  expect_failures = [var.partition]
}

run "a_key_by_its_alias" {
  command = plan
  module {
    source = "./modules/alarms"
  }
  variables {
    key_arn = "alias/aws/sns"
  }
  expect_failures = [var.key_arn]
}

run "a_prefix_that_is_too_long" {
  command = plan
  module {
    source = "./modules/alarms"
  }
  variables {
    prefix = format("t%s", join("", [for _ in range(40) : "x"]))
  }
  expect_failures = [var.prefix]
}

run "a_severity_that_has_no_topic" {
  command = plan
  module {
    source = "./modules/alarms"
  }
  variables {
    topology = merge(yamldecode(file("topology.yaml")), {
      alarms = { for name, alarm in yamldecode(file("topology.yaml")).alarms : name => merge(alarm, { severity = "minor" }) }
    })
  }
  expect_failures = [var.topology]
}

run "more_alarms_than_a_composite_takes" {
  command = plan
  module {
    source = "./modules/alarms"
  }
  variables {
    topology = merge(yamldecode(file("topology.yaml")), {
      feeds = { loaded = [for number in range(50) : "feed_${number}"], archived = [] }
    })
  }
  expect_failures = [aws_cloudwatch_composite_alarm.critical]
}

run "a_runbook_that_is_too_long_for_a_description" {
  command = plan
  module {
    source = "./modules/alarms"
  }
  variables {
    topology = merge(yamldecode(file("topology.yaml")), {
      alarms = { queue_stuck = merge(yamldecode(file("topology.yaml")).alarms.queue_stuck, { runbook = join("", [for _ in range(1000) : "x"]) }) }
    })
  }
  expect_failures = [aws_cloudwatch_metric_alarm.leaf]
}

run "a_dashboard_that_would_hide_an_alarm" {
  command = plan
  module {
    source = "./modules/alarm_dashboard"
  }
  variables {
    alarm_arns = [for number in range(101) : "arn:${number}"]
  }
  expect_failures = [var.alarm_arns]
}

run "a_dashboard_without_the_archive" {
  command = plan
  module {
    source = "./modules/alarm_dashboard"
  }
  variables {
    buckets = { processed = "totes-prod-processed" }
  }
  expect_failures = [var.buckets]
}
