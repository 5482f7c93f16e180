# The whole of it, without an account: what each rule comes to, and that what breaks one is refused. What a resource is only told
# by AWS is made up here, so that policies and environments can be read in the plan.
mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

override_resource {
  target          = module.queue["changes"].aws_sqs_queue.work
  override_during = plan
  values          = { arn = "arn:aws:sqs:eu-west-2:123456789012:totes-prod-changes", url = "https://sqs/changes" }
}

override_resource {
  target          = module.queue["changes"].aws_sqs_queue.dead_letters
  override_during = plan
  values          = { arn = "arn:aws:sqs:eu-west-2:123456789012:totes-prod-changes-dlq", url = "https://sqs/changes-dlq" }
}

override_resource {
  target          = module.queue["loads"].aws_sqs_queue.work
  override_during = plan
  values          = { arn = "arn:aws:sqs:eu-west-2:123456789012:totes-prod-loads", url = "https://sqs/loads" }
}

override_resource {
  target          = module.queue["loads"].aws_sqs_queue.dead_letters
  override_during = plan
  values          = { arn = "arn:aws:sqs:eu-west-2:123456789012:totes-prod-loads-dlq", url = "https://sqs/loads-dlq" }
}

override_resource {
  target          = aws_secretsmanager_secret.dsn["source"]
  override_during = plan
  values          = { arn = "arn:aws:secretsmanager:eu-west-2:123456789012:secret:totes-prod/source-AbCdEf" }
}

override_resource {
  target          = aws_secretsmanager_secret.dsn["warehouse"]
  override_during = plan
  values          = { arn = "arn:aws:secretsmanager:eu-west-2:123456789012:secret:totes-prod/warehouse-AbCdEf" }
}

variables {
  environment  = "prod"
  packages_dir = "tests/packages"
}

run "every_name_begins_with_the_prefix" {
  command = plan

  assert {
    condition = local.bucket_names == {
      archive   = "totes-prod-archive-123456789012-eu-west-2"
      processed = "totes-prod-processed-123456789012-eu-west-2"
      control   = "totes-prod-control-123456789012-eu-west-2"
      artefacts = "totes-prod-artefacts-123456789012-eu-west-2"
    }
    error_message = "A bucket's name is unique in the world by account and region."
  }

  assert {
    condition     = keys(module.function) == keys(local.topology.functions) && local.function_arns.poller == "arn:aws:lambda:eu-west-2:123456789012:function:totes-prod-poller"
    error_message = "Each function of the topology, by its name."
  }

  assert {
    condition     = { for secret, made in aws_secretsmanager_secret.dsn : secret => made.name } == { source = "totes-prod/source", warehouse = "totes-prod/warehouse" }
    error_message = "Both secrets, below the prefix."
  }
}

run "the_command_is_told_where_everything_is" {
  command = plan

  assert {
    condition     = aws_ssm_parameter.stack.name == "/totes/prod/stack" && jsondecode(aws_ssm_parameter.stack.value) == jsondecode(jsonencode(output.stack))
    error_message = "The parameter and the output say the same."
  }

  assert {
    condition = output.stack == {
      environment        = "prod"
      prefix             = "totes-prod"
      region             = "eu-west-2"
      buckets            = { for bucket in ["archive", "control", "processed"] : bucket => "totes-prod-${bucket}-123456789012-eu-west-2" }
      queues             = { changes = "https://sqs/changes", loads = "https://sqs/loads" }
      dead_letter_queues = { changes = "https://sqs/changes-dlq", loads = "https://sqs/loads-dlq" }
      secrets            = { source = "totes-prod/source", warehouse = "totes-prod/warehouse" }
      warehouse_schema   = "warehouse"
      time_zone          = "UTC"
    }
    error_message = "What services/ops/deployed.py reads."
  }
}

run "numbers_follow_from_the_topology" {
  command = plan

  assert {
    condition     = local.visibility_timeout_seconds == { changes = 6 * 60, loads = 6 * 120 }
    error_message = "Six timeouts of the queue's consumer."
  }

  assert {
    condition     = local.poll_lifetime_seconds.poller == 14 * 60 - 3
    error_message = "Whole minutes within 900 s less 45 s, less the handover of 3 s."
  }

  assert {
    condition     = local.schedule_expressions == { poller = "rate(1 minute)", reconciler = "rate(5 minutes)", compactor = "rate(60 minutes)" }
    error_message = "One is singular."
  }
}

run "functions_are_told_what_the_topology_names_and_what_was_chosen" {
  command = plan

  variables {
    time_zone             = "Europe/London"
    poll_interval_seconds = 0.5
  }

  assert {
    condition = local.environment.poller == {
      TOTES_ARCHIVE_BUCKET         = "totes-prod-archive-123456789012-eu-west-2"
      TOTES_CHANGES_QUEUE_URL      = "https://sqs/changes"
      TOTES_CONTROL_BUCKET         = "totes-prod-control-123456789012-eu-west-2"
      TOTES_LOG_LEVEL              = "INFO"
      TOTES_POLL_INTERVAL_SECONDS  = "0.5"
      TOTES_POLL_LIFETIME_SECONDS  = "837"
      TOTES_SOURCE_SCHEMA          = "public"
      TOTES_SOURCE_SECRET          = "totes-prod/source"
      TOTES_TIME_ZONE              = "Europe/London"
      TOTES_WAREHOUSE_SCHEMA       = "warehouse"
      POWERTOOLS_METRICS_NAMESPACE = "totes-prod"
      AWS_SDK_UA_APP_ID            = "totes-prod-poller"
    }
    error_message = "The poller's environment."
  }

  assert {
    condition     = { for function, told in local.environment : function => told.TOTES_DEAD_LETTER_QUEUE_URL if can(told.TOTES_DEAD_LETTER_QUEUE_URL) } == { transform = "https://sqs/changes-dlq", loader = "https://sqs/loads-dlq" }
    error_message = "Each consumer parks in the dead-letter queue of its own queue."
  }

  assert {
    condition     = alltrue([for told in values(local.environment) : told.POWERTOOLS_METRICS_NAMESPACE == "totes-prod"])
    error_message = "Alarms look in the namespace of the prefix."
  }
}

run "packages_lie_under_the_digest_of_their_bytes" {
  command = plan

  assert {
    condition     = alltrue([for name, made in aws_s3_object.package : made.key == "${name}/${filesha256("tests/packages/${name}.zip")}.zip"])
    error_message = "Other bytes, another key; equal bytes, none."
  }

  assert {
    condition     = toset(keys(aws_s3_object.package)) == toset(["poller", "transform", "loader", "reconciler", "compactor", "layer-parquet"])
    error_message = "Each function's zip and each layer's."
  }

  assert {
    condition     = aws_lambda_layer_version.shared["parquet"].source_code_hash == filebase64sha256("tests/packages/layer-parquet.zip") && one(aws_lambda_layer_version.shared["parquet"].compatible_architectures) == "arm64"
    error_message = "The layer is a new version where its bytes are others."
  }
}

run "consumers_answer_for_each_message" {
  command = plan

  assert {
    condition     = alltrue([for mapping in aws_lambda_event_source_mapping.consumer : one(mapping.function_response_types) == "ReportBatchItemFailures" && mapping.batch_size == 10 && mapping.scaling_config[0].maximum_concurrency == 2])
    error_message = "Without ReportBatchItemFailures what failed would be deleted."
  }

  assert {
    condition     = { for function, mapping in aws_lambda_event_source_mapping.consumer : function => mapping.event_source_arn } == { transform = local.queue_arns.changes, loader = local.queue_arns.loads }
    error_message = "Each consumer has its own queue."
  }
}

run "each_role_may_do_what_its_code_calls_and_no_more" {
  command = plan

  assert {
    condition = jsonencode({ for function, statements in local.statements : function => sort(distinct(flatten(statements[*].actions))) }) == jsonencode({
      poller     = ["s3:GetObject", "s3:ListBucket", "s3:PutObject", "secretsmanager:GetSecretValue", "sqs:SendMessage"]
      transform  = ["s3:GetObject", "s3:ListBucket", "s3:PutObject", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:SendMessage"]
      loader     = ["s3:GetObject", "s3:ListBucket", "secretsmanager:GetSecretValue", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:SendMessage"]
      reconciler = ["s3:GetObject", "s3:ListBucket", "s3:PutObject", "secretsmanager:GetSecretValue", "sqs:GetQueueAttributes", "sqs:SendMessage"]
      compactor  = ["s3:GetObject", "s3:ListBucket", "s3:PutObject"]
    })
    error_message = "An action more or less than the code calls."
  }

  assert {
    condition     = alltrue([for statements in values(local.statements) : alltrue([for resource in flatten(statements[*].resources) : can(regex("^arn:aws:(s3:::|sqs:eu-west-2:123456789012:|secretsmanager:eu-west-2:123456789012:secret:)totes-prod", resource))])])
    error_message = "A resource that is not this deployment's."
  }

  assert {
    condition = jsonencode({
      for function, statements in local.statements : function => sort(flatten([for statement in statements : statement.resources if contains(statement.actions, "s3:PutObject")]))
      }) == jsonencode({
      poller     = ["${local.bucket_arns.archive}/*", "${local.bucket_arns.control}/checkpoint.json"]
      transform  = ["${local.bucket_arns.processed}/*"]
      loader     = []
      reconciler = ["${local.bucket_arns.archive}/*", "${local.bucket_arns.control}/reconciler.json"]
      compactor  = ["${local.bucket_arns.processed}/_compacted/*", "${local.bucket_arns.processed}/_manifest/*"]
    })
    error_message = "Nobody writes where it has nothing to write; the loader writes to the warehouse alone."
  }

  assert {
    condition = jsonencode({
      for function, statements in local.statements : function => sort(flatten([for statement in statements : statement.resources if contains(statement.actions, "secretsmanager:GetSecretValue")]))
      }) == jsonencode({
      poller     = [aws_secretsmanager_secret.dsn["source"].arn]
      transform  = []
      loader     = [aws_secretsmanager_secret.dsn["warehouse"].arn]
      reconciler = [aws_secretsmanager_secret.dsn["source"].arn, aws_secretsmanager_secret.dsn["warehouse"].arn]
      compactor  = []
    })
    error_message = "A function reads the DSN of no database that it does not use."
  }
}

run "by_default_nothing_that_cannot_be_made_again_is_destroyed" {
  command = plan

  assert {
    condition     = alltrue([for secret in aws_secretsmanager_secret.dsn : secret.recovery_window_in_days == 30])
    error_message = "A secret that was destroyed can be restored for thirty days."
  }

  assert {
    condition     = alltrue([for name in ["archive", "processed", "control"] : !module.bucket[name].destroyed_with_objects]) && module.artefacts.destroyed_with_objects
    error_message = "A bucket of data goes only when it is empty; packages are built again."
  }
}

run "a_thrown_away_environment_leaves_nothing" {
  command = plan

  variables {
    delete_data = true
  }

  assert {
    condition     = alltrue([for secret in aws_secretsmanager_secret.dsn : secret.recovery_window_in_days == 0]) && alltrue([for bucket in module.bucket : bucket.destroyed_with_objects])
    error_message = "Objects and secrets go at once."
  }
}

run "the_archive_is_kept_for_ever" {
  command = plan

  assert {
    condition     = module.bucket["archive"].expire_days == {} && module.bucket["control"].expire_days == {}
    error_message = "Nothing in archive and control is deleted by age."
  }

  assert {
    condition     = module.bucket["processed"].expire_days == { "_quarantine/" = 90 } && local.longest_dead_letter_days == 14
    error_message = "Of processed, quarantined rows alone, and later than the dead letters."
  }
}

run "the_archive_is_kept_as_long_as_was_chosen" {
  command = plan

  variables {
    archive_retention_days = 365
  }

  assert {
    condition     = module.bucket["archive"].expire_days == { "" = 365 }
    error_message = "All objects of the archive, after so many days."
  }
}

run "without_a_key_of_our_own_there_is_none" {
  command = plan

  assert {
    condition     = length(module.key) == 0 && local.key_arn == null && aws_secretsmanager_secret.dsn["source"].kms_key_id == null
    error_message = "AWS's own keys."
  }
}

run "one_key_encrypts_everything" {
  command = plan

  variables {
    customer_managed_key = true
  }

  assert {
    condition     = length(module.key) == 1 && alltrue([for secret in aws_secretsmanager_secret.dsn : secret.kms_key_id == "arn:aws:kms:eu-west-2:123456789012:key/made-up"])
    error_message = "The secrets name the key; tests/terraform looks at everything else of this plan."
  }
}

run "in_a_vpc" {
  command = plan

  variables {
    customer_managed_key = true
    vpc = {
      subnet_ids      = ["subnet-a", "subnet-b"]
      route_table_ids = ["rtb-1"]
      databases       = { source = { cidr = "10.0.1.0/24" }, warehouse = { cidr = "10.0.2.0/24", port = 5433 } }
    }
  }

  assert {
    condition     = module.network[0].attachment == { subnet_ids = toset(["subnet-a", "subnet-b"]), security_group_ids = toset(["sg-1"]) }
    error_message = "What every function is attached to."
  }
}

run "refuses_environments_that_make_no_name" {
  command = plan

  variables {
    environment = "Production-"
  }

  expect_failures = [var.environment]
}

run "refuses_an_environment_too_long_for_a_bucket" {
  command = plan

  variables {
    environment = "a2345678901234567"
  }

  expect_failures = [var.environment]
}

run "refuses_what_is_no_region" {
  command = plan

  variables {
    region = "London"
  }

  expect_failures = [var.region]
}

run "refuses_what_is_no_time_zone" {
  command = plan

  variables {
    time_zone = "+01:00"
  }

  expect_failures = [var.time_zone]
}

run "refuses_what_is_no_schema" {
  command = plan

  variables {
    source_schema    = "public; drop"
    warehouse_schema = "Ware house"
  }

  expect_failures = [var.source_schema, var.warehouse_schema]
}

run "refuses_polls_without_a_pause" {
  command = plan

  variables {
    poll_interval_seconds = 0
  }

  expect_failures = [var.poll_interval_seconds]
}

run "refuses_polls_that_are_later_than_heartbeats" {
  command = plan

  variables {
    poll_interval_seconds = 61
  }

  expect_failures = [var.poll_interval_seconds]
}

run "refuses_a_level_that_logging_does_not_know" {
  command = plan

  variables {
    log_level = "LOUD"
  }

  expect_failures = [var.log_level]
}

run "refuses_an_archive_that_dead_letters_point_into_in_vain" {
  command = plan

  variables {
    archive_retention_days = 30
  }

  expect_failures = [var.archive_retention_days]
}

run "refuses_half_a_day" {
  command = plan

  variables {
    archive_retention_days = 365.5
  }

  expect_failures = [var.archive_retention_days]
}

run "refuses_what_is_no_address" {
  command = plan

  variables {
    alarm_emails = { critical = ["nobody"] }
    runbook_url  = "https://example.com/runbook#top"
  }

  expect_failures = [var.alarm_emails, var.runbook_url]
}

run "refuses_a_vpc_without_subnets" {
  command = plan

  variables {
    vpc = { subnet_ids = [], route_table_ids = ["rtb-1"], databases = { source = { cidr = "10.0.1.0/24" } } }
  }

  expect_failures = [var.vpc]
}

run "refuses_endpoints_without_route_tables" {
  command = plan

  variables {
    vpc = { subnet_ids = ["subnet-a"], databases = { source = { cidr = "10.0.1.0/24" } } }
  }

  expect_failures = [var.vpc]
}

run "refuses_a_vpc_without_a_way_to_the_databases" {
  command = plan

  variables {
    vpc = { subnet_ids = ["subnet-a"], route_table_ids = ["rtb-1"], databases = {} }
  }

  expect_failures = [var.vpc]
}

run "refuses_a_database_that_is_no_range" {
  command = plan

  variables {
    vpc = { subnet_ids = ["subnet-a"], route_table_ids = ["rtb-1"], databases = { source = { cidr = "db.example.com" } } }
  }

  expect_failures = [var.vpc]
}

run "refuses_a_boundary_that_is_no_policy" {
  command = plan

  variables {
    permissions_boundary = "PowerUser"
  }

  expect_failures = [var.permissions_boundary]
}

run "refuses_a_folder_without_packages" {
  command = plan

  variables {
    packages_dir = "tests"
  }

  expect_failures = [var.packages_dir]
}
