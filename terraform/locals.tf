locals {
  topology = yamldecode(file("${path.module}/topology.yaml"))

  prefix     = "${local.topology.prefix}-${var.environment}"
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = var.region
  key_arn    = one(module.key[*].arn)

  minute_seconds = 60
  day_seconds    = 24 * 3600

  # Names and ARNs follow from the prefix, so that every policy can be read, and tested, before anything is made.
  arn = {
    for service in ["lambda", "logs", "scheduler", "sqs", "ssm"] :
    service => "arn:${local.partition}:${service}:${local.region}:${local.account_id}"
  }
  bucket_names = {
    for bucket in concat(keys(local.topology.buckets), ["artefacts"]) :
    bucket => "${local.prefix}-${bucket}-${local.account_id}-${local.region}"
  }
  bucket_arns = { for bucket, name in local.bucket_names : bucket => "arn:${local.partition}:s3:::${name}" }
  queue_arns  = { for queue in keys(local.topology.queues) : queue => "${local.arn.sqs}:${local.prefix}-${queue}" }
  function_arns = {
    for function in keys(local.topology.functions) : function => "${local.arn.lambda}:function:${local.prefix}-${function}"
  }

  # Of a queue: its consumer, and how long a message that it received stays hidden.
  consumers = { for function, mapping in local.topology.event_source_mappings : mapping.queue => function }
  visibility_timeout_seconds = {
    for queue, function in local.consumers :
    queue => local.topology.rules.visibility_per_timeout * local.topology.functions[function].timeout_seconds
  }

  longest_dead_letter_days = max([for queue in values(local.topology.queues) : queue.dead_letter_retention_days]...)

  # Of a scheduled function: its expression, and how long one invocation goes on, which is whole periods of its schedule
  # within its timeout, less what a handover takes.
  schedule_expressions = {
    for function, schedule in local.topology.schedules :
    function => "rate(${schedule.every_minutes} minute${schedule.every_minutes == 1 ? "" : "s"})"
  }
  poll_lifetime_seconds = {
    for function, schedule in local.topology.schedules : function => floor(
      (local.topology.functions[function].timeout_seconds - local.topology.rules.shutdown_seconds)
      / (schedule.every_minutes * local.minute_seconds)
    ) * schedule.every_minutes * local.minute_seconds - local.topology.rules.handover_seconds
  }

  # What each function is told: of what the topology derives, the settings that it names; what was chosen here, all.
  chosen = {
    log_level             = var.log_level
    poll_interval_seconds = tostring(var.poll_interval_seconds)
    source_schema         = var.source_schema
    time_zone             = var.time_zone
    warehouse_schema      = var.warehouse_schema
  }
  known = {
    for function in keys(local.topology.functions) : function => merge(
      { for bucket in keys(local.topology.buckets) : "${bucket}_bucket" => local.bucket_names[bucket] },
      { for queue in keys(local.topology.queues) : "${queue}_queue_url" => module.queue[queue].url },
      { for secret in keys(local.topology.secrets) : "${secret}_secret" => local.secret_names[secret] },
      {
        for queue, consumer in local.consumers :
        "dead_letter_queue_url" => module.queue[queue].dead_letters_url if consumer == function
      },
      {
        for scheduled, seconds in local.poll_lifetime_seconds :
        "poll_lifetime_seconds" => tostring(seconds) if scheduled == function
      },
    )
  }
  environment = {
    for function, described in local.topology.functions : function => merge(
      { for setting, value in local.chosen : "TOTES_${upper(setting)}" => value },
      {
        for setting in described.environment :
        "TOTES_${upper(setting)}" => local.known[function][setting] if contains(keys(local.known[function]), setting)
      },
      {
        POWERTOOLS_METRICS_NAMESPACE = local.prefix
        AWS_SDK_UA_APP_ID            = "${local.prefix}-${function}" # so that the account's trail shows who called
      },
    )
  }

  secret_names = { for secret in keys(local.topology.secrets) : secret => "${local.prefix}/${secret}" }
}
