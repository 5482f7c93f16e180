# The whole pipeline on one page: how it is on top, below it the path from left to right, below that its functions. A
# metric is [namespace, name, dimension, value, …, how to show it], as CloudWatch wants it.
locals {
  columns = 24 # of a dashboard, whatever the screen

  limit = { for alarm, described in var.topology.alarms : alarm => described.threshold }
  feeds = concat(var.topology.feeds.loaded, var.topology.feeds.archived)

  # -- how it is

  freshness = [for feed in var.topology.feeds.loaded : [var.prefix, "freshness_seconds", "service", "loader", "feed", feed, { label = feed, stat = "Maximum" }]]
  heartbeat = [[var.prefix, "heartbeat_age_seconds", "service", "loader", { label = "age of the newest", stat = "Minimum" }]]
  parked = [
    for queue in concat(keys(var.topology.queues), ["schedules"]) :
    ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${var.prefix}-${queue}-dlq", { label = queue, stat = "Maximum" }]
  ]
  found = [
    [var.prefix, "rows_quarantined", "service", "transform", { label = "quarantined", stat = "Sum" }],
    [var.prefix, "drift_rows", "service", "reconciler", { label = "drift", stat = "Sum" }],
    [var.prefix, "repaired_rows", "service", "reconciler", { label = "repaired", stat = "Sum" }],
    [var.prefix, "held_back_rows", "service", "reconciler", { label = "deletions held back", stat = "Maximum" }],
    [var.prefix, "inferred_members", "service", "reconciler", { label = "members inferred", stat = "Maximum" }],
  ]
  health = [
    { title = "Freshness of each feed, seconds", metrics = local.freshness, lines = { late = local.limit["freshness_late"], broken = local.limit["freshness_broken"] } },
    { title = "Heartbeat through all stages, seconds", metrics = local.heartbeat, lines = { missing = local.limit["heartbeat_missing"] } },
    { title = "Parked messages", metrics = local.parked, lines = {} },
    { title = "Quarantine, drift and what is left", metrics = local.found, lines = {} },
  ]

  # -- the path

  waiting = {
    for queue in keys(var.topology.queues) : queue => [
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${var.prefix}-${queue}", { label = "waiting", stat = "Maximum" }],
      ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "${var.prefix}-${queue}", { label = "oldest, s", stat = "Maximum" }],
    ]
  }
  objects = {
    for bucket, name in var.buckets : bucket => [
      ["AWS/S3", "NumberOfObjects", "BucketName", name, "StorageType", "AllStorageTypes", { label = "objects, once a day", stat = "Maximum", period = 86400 }],
    ]
  }
  path = [
    { title = "1 totesys ▶ poller", metrics = [
      [var.prefix, "rows_captured", "service", "poller", { label = "rows captured", stat = "Sum" }],
      [var.prefix, "as_of_age_seconds", "service", "poller", { label = "as of, s ago", stat = "Maximum" }],
    ] },
    { title = "2 ▶ archive", metrics = local.objects["archive"], start = "-P3D" }, # S3 counts objects once a day
    { title = "3 ▶ changes", metrics = local.waiting["changes"] },
    { title = "4 ▶ transform", metrics = [
      ["AWS/Lambda", "Invocations", "FunctionName", "${var.prefix}-transform", { label = "invocations", stat = "Sum" }],
      [var.prefix, "rows_quarantined", "service", "transform", { label = "rows quarantined", stat = "Sum" }],
    ] },
    { title = "5 ▶ processed", metrics = local.objects["processed"], start = "-P3D" },
    { title = "6 ▶ loads", metrics = local.waiting["loads"] },
    { title = "7 ▶ loader", metrics = [
      [var.prefix, "rows_loaded", "service", "loader", { label = "rows loaded", stat = "Sum" }],
      [var.prefix, "rows_per_second", "service", "loader", { label = "rows/s", stat = "Average" }],
    ] },
    { title = "8 ▶ warehouse", metrics = [
      [var.prefix, "freshness_seconds", "service", "loader", { label = "freshness, s", stat = "Maximum" }],
    ] },
  ]

  # -- its parts

  parts = [
    { title = "As of, seconds ago: the oldest feed, and each that is late", lines = {}, metrics = concat(
      [[var.prefix, "as_of_age_seconds", "service", "poller", { label = "the oldest", stat = "Maximum" }]],
      [for feed in local.feeds : [var.prefix, "as_of_age_seconds", "service", "poller", "feed", feed, { label = feed, stat = "Maximum" }]],
    ) },
    { title = "Look-back, seconds: the oldest open transaction", lines = {}, metrics = [
      [var.prefix, "look_back_seconds", "service", "poller", { label = "look-back", stat = "Maximum" }],
    ] },
    { title = "Oldest message, seconds", lines = { "backs up" = local.limit["queue_backs_up"] }, metrics = [
      for queue in keys(var.topology.queues) : ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "${var.prefix}-${queue}", { label = queue, stat = "Maximum" }]
    ] },
    { title = "Messages waiting", lines = {}, metrics = [
      for queue in keys(var.topology.queues) : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${var.prefix}-${queue}", { label = queue, stat = "Maximum" }]
    ] },
  ]
  functions = [
    for shown in [
      { metric = "Invocations", stat = "Sum", title = "Invocations" },
      { metric = "Errors", stat = "Sum", title = "Errors" },
      { metric = "Throttles", stat = "Sum", title = "Throttles" },
      { metric = "Duration", stat = "Maximum", title = "Longest invocation, milliseconds" },
    ] :
    { title = shown.title, lines = {}, metrics = [
      for function in keys(var.topology.functions) : ["AWS/Lambda", shown.metric, "FunctionName", "${var.prefix}-${function}", { label = function, stat = shown.stat }]
    ] }
  ]

  # -- the page

  alarms_height = 5
  path_y        = local.alarms_height + 6
  graph_rows    = { "${local.alarms_height}" = local.health, "${local.path_y + 4}" = local.parts, "${local.path_y + 10}" = local.functions }

  graphs = flatten([
    for y, row in local.graph_rows : [
      for x, graph in row : {
        type   = "metric"
        x      = x * local.columns / length(row)
        y      = tonumber(y)
        width  = local.columns / length(row)
        height = 6
        properties = {
          title       = graph.title
          region      = var.region
          view        = "timeSeries"
          period      = 60
          metrics     = graph.metrics
          annotations = { horizontal = [for label, value in graph.lines : { label = label, value = value }] }
          yAxis       = { left = { min = 0 } }
        }
      }
    ]
  ])
  steps = [
    for x, step in local.path : {
      type   = "metric"
      x      = x * local.columns / length(local.path)
      y      = local.path_y
      width  = local.columns / length(local.path)
      height = 4
      properties = merge({ for name, value in step : name => value if name == "start" }, {
        title     = step.title
        region    = var.region
        view      = "singleValue"
        sparkline = true
        period    = 300
        metrics   = step.metrics
      })
    }
  ]
  status = {
    type       = "alarm"
    x          = 0
    y          = 0
    width      = local.columns
    height     = local.alarms_height
    properties = { title = "Alarms of ${var.prefix}", alarms = var.alarm_arns, sortBy = "stateUpdatedTimestamp" }
  }
}

resource "aws_cloudwatch_dashboard" "path" {
  dashboard_name = var.prefix
  dashboard_body = jsonencode({
    start          = "-PT6H"
    periodOverride = "inherit"
    widgets        = concat([local.status], local.steps, local.graphs)
  })
}
