# Each module by itself: what its resources come to, and that what breaks one of its rules is refused.
mock_provider "aws" {
  override_during = plan

  mock_data "aws_subnet" {
    defaults = { vpc_id = "vpc-1" }
  }

  mock_resource "aws_security_group" {
    defaults = { id = "sg-1" }
  }
}

variables {
  prefix     = "totes-prod"
  name       = "totes-prod-one"
  account_id = "123456789012"
  region     = "eu-west-2"
  partition  = "aws"
  key_arn    = null

  # bucket
  versioned     = true
  replaced_days = 30
  upload_days   = 7
  expire_days   = { "_quarantine/" = 90 }
  least_days    = 14
  force_destroy = false

  # queue
  visibility_timeout_seconds     = 360
  retention_seconds              = 345600
  dead_letters_retention_seconds = 1209600
  max_receive_count              = 64
  arn_prefix                     = "arn:aws:sqs:eu-west-2:123456789012"

  # function
  handler            = "services.poller.handler.handler"
  runtime            = "python3.13"
  architecture       = "arm64"
  memory_mb          = 512
  timeout_seconds    = 60
  package            = { bucket = "artefacts", key = "poller/abc.zip", hash = "abc" }
  layer_arns         = []
  environment        = { TOTES_TIME_ZONE = "UTC" }
  log_retention_days = 30
  scheduled          = true
  statements         = [{ actions = ["sqs:SendMessage"], resources = ["arn:aws:sqs:eu-west-2:123456789012:totes-prod-changes"] }]
  encrypted_services = ["s3", "sqs"]
  network            = null

  # schedules
  schedules     = { poller = { expression = "rate(1 minute)", period_seconds = 60, function_arn = "arn:aws:lambda:eu-west-2:123456789012:function:totes-prod-poller" } }
  function_arns = { poller = "arn:aws:lambda:eu-west-2:123456789012:function:totes-prod-poller" }

  # network
  subnet_ids      = ["subnet-a", "subnet-b"]
  route_table_ids = ["rtb-1"]
  databases       = { source = { cidr = "10.0.1.0/24", port = 5432 } }
  endpoints       = true
  services        = ["sqs", "secretsmanager"]
}

run "a_bucket_is_shut_to_the_public_and_to_whoever_comes_without_tls" {
  command = plan
  module {
    source = "./modules/bucket"
  }

  assert {
    condition     = alltrue([for shut in ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"] : aws_s3_bucket_public_access_block.this[shut]])
    error_message = "All four."
  }

  assert {
    condition     = aws_s3_bucket_ownership_controls.this.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "No access control lists."
  }

  assert {
    condition = jsondecode(aws_s3_bucket_policy.this.policy).Statement[0] == {
      Sid       = "NothingWithoutTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = ["arn:aws:s3:::totes-prod-one", "arn:aws:s3:::totes-prod-one/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }
    error_message = "Bucket and objects, to everybody."
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "Encrypted by S3."
  }
}

run "a_bucket_forgets_what_was_replaced_and_what_was_abandoned_and_changes_no_class" {
  command = plan
  module {
    source = "./modules/bucket"
  }

  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.id] == ["abandoned-uploads", "replaced-versions", "expire-quarantine"] && alltrue([for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.status == "Enabled"])
    error_message = "Three rules."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 7 && aws_s3_bucket_lifecycle_configuration.this.rule[1].noncurrent_version_expiration[0].noncurrent_days == 30
    error_message = "After seven and thirty days."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[2].filter[0].prefix == "_quarantine/" && aws_s3_bucket_lifecycle_configuration.this.rule[2].expiration[0].days == 90
    error_message = "Quarantined rows alone expire."
  }

  assert {
    condition     = alltrue([for rule in aws_s3_bucket_lifecycle_configuration.this.rule : length(rule.transition) == 0])
    error_message = "Infrequent access would bill a small object as 128 KiB."
  }
}

run "a_bucket_of_what_is_overwritten_all_the_time_keeps_no_versions" {
  command = plan
  module {
    source = "./modules/bucket"
  }

  variables {
    versioned   = false
    expire_days = {}
  }

  assert {
    condition     = length(aws_s3_bucket_versioning.this) == 0 && [for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.id] == ["abandoned-uploads"]
    error_message = "Neither versions nor a rule for them."
  }
}

run "a_bucket_with_a_key_asks_for_it_once_for_many_objects" {
  command = plan
  module {
    source = "./modules/bucket"
  }

  variables {
    key_arn = "arn:aws:kms:eu-west-2:123456789012:key/1"
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule).bucket_key_enabled && one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).kms_master_key_id == var.key_arn
    error_message = "The key, and a bucket key."
  }
}

run "refuses_quarantined_rows_that_go_before_the_dead_letters_beside_them" {
  command = plan
  module {
    source = "./modules/bucket"
  }

  variables {
    expire_days = { "_quarantine/" = 14 }
  }

  expect_failures = [var.expire_days]
}

run "refuses_versions_that_are_gone_before_a_mistake_is_seen" {
  command = plan
  module {
    source = "./modules/bucket"
  }

  variables {
    replaced_days = 3
    upload_days   = 0
  }

  expect_failures = [var.replaced_days, var.upload_days]
}

run "a_queue_redrives_to_its_own_dead_letter_queue_which_takes_from_it_alone" {
  command = plan
  module {
    source = "./modules/queue"
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.work.redrive_policy) == { deadLetterTargetArn = "arn:aws:sqs:eu-west-2:123456789012:totes-prod-one-dlq", maxReceiveCount = 64 }
    error_message = "After 64 receives."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.dead_letters.redrive_allow_policy) == { redrivePermission = "byQueue", sourceQueueArns = ["arn:aws:sqs:eu-west-2:123456789012:totes-prod-one"] }
    error_message = "From its own queue alone."
  }

  assert {
    condition     = aws_sqs_queue.dead_letters.name == "totes-prod-one-dlq" && aws_sqs_queue.work.visibility_timeout_seconds == 360 && aws_sqs_queue.dead_letters.message_retention_seconds > aws_sqs_queue.work.message_retention_seconds
    error_message = "Name, visibility, retention."
  }
}

run "a_queue_is_encrypted_and_shut_to_whoever_comes_without_tls" {
  command = plan
  module {
    source = "./modules/queue"
  }

  assert {
    condition     = aws_sqs_queue.work.sqs_managed_sse_enabled && aws_sqs_queue.dead_letters.sqs_managed_sse_enabled
    error_message = "By SQS."
  }

  assert {
    condition = alltrue([for name, policy in { "totes-prod-one" = aws_sqs_queue.work.policy, "totes-prod-one-dlq" = aws_sqs_queue.dead_letters.policy } : jsondecode(policy).Statement[0] == {
      Sid       = "NothingWithoutTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = "arn:aws:sqs:eu-west-2:123456789012:${name}"
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }])
    error_message = "Both, to everybody."
  }
}

run "a_queue_with_a_key_uses_it_for_both" {
  command = plan
  module {
    source = "./modules/queue"
  }

  variables {
    key_arn = "arn:aws:kms:eu-west-2:123456789012:key/1"
  }

  assert {
    condition     = aws_sqs_queue.work.kms_master_key_id == var.key_arn && aws_sqs_queue.dead_letters.kms_master_key_id == var.key_arn
    error_message = "The queue and its dead-letter queue."
  }
}

run "refuses_a_dead_letter_queue_that_keeps_no_longer_than_its_queue" {
  command = plan
  module {
    source = "./modules/queue"
  }

  variables {
    dead_letters_retention_seconds = 345600
  }

  expect_failures = [var.dead_letters_retention_seconds]
}

run "refuses_a_dead_letter_queue_that_sqs_would_refuse" {
  command = plan
  module {
    source = "./modules/queue"
  }

  variables {
    dead_letters_retention_seconds = 1209601
  }

  expect_failures = [var.dead_letters_retention_seconds]
}

run "refuses_numbers_that_sqs_does_not_take" {
  command = plan
  module {
    source = "./modules/queue"
  }

  variables {
    visibility_timeout_seconds = 43201
    max_receive_count          = 0
    arn_prefix                 = "arn:aws:sqs"
  }

  expect_failures = [var.visibility_timeout_seconds, var.max_receive_count, var.arn_prefix]
}

run "a_function_is_what_the_topology_says" {
  command = plan
  module {
    source = "./modules/function"
  }

  assert {
    condition     = aws_lambda_function.this.runtime == "python3.13" && one(aws_lambda_function.this.architectures) == "arm64" && aws_lambda_function.this.memory_size == 512 && aws_lambda_function.this.timeout == 60 && aws_lambda_function.this.source_code_hash == "abc"
    error_message = "Runtime, processor, memory, timeout, package."
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.name == "/aws/lambda/totes-prod-one" && aws_cloudwatch_log_group.this.retention_in_days == 30 && aws_lambda_function.this.logging_config[0].log_group == aws_cloudwatch_log_group.this.name && aws_lambda_function.this.logging_config[0].log_format == "Text"
    error_message = "It writes to its own log, which ends, in lines that are left as they are."
  }

  assert {
    condition     = length(aws_lambda_function.this.vpc_config) == 0 && aws_lambda_function.this.kms_key_arn == null
    error_message = "In no VPC, with no key."
  }
}

run "a_scheduled_run_that_fails_is_left_to_the_next_one" {
  command = plan
  module {
    source = "./modules/function"
  }

  assert {
    condition     = aws_lambda_function_event_invoke_config.this[0].maximum_retry_attempts == 0
    error_message = "No second try."
  }
}

run "a_consumer_is_not_invoked_by_a_schedule" {
  command = plan
  module {
    source = "./modules/function"
  }

  variables {
    scheduled = false
  }

  assert {
    condition     = length(aws_lambda_function_event_invoke_config.this) == 0
    error_message = "Its queue tries again, not Lambda."
  }
}

run "a_role_may_do_what_it_is_given_and_write_its_own_log" {
  command = plan
  module {
    source = "./modules/function"
  }

  assert {
    condition = jsonencode(jsondecode(aws_iam_role_policy.this.policy).Statement) == jsonencode([
      { Action = ["sqs:SendMessage"], Effect = "Allow", Resource = ["arn:aws:sqs:eu-west-2:123456789012:totes-prod-changes"] },
      { Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Effect = "Allow", Resource = ["arn:aws:logs:eu-west-2:123456789012:log-group:/aws/lambda/totes-prod-one:*"] },
    ])
    error_message = "And nothing else: no network interfaces, no key."
  }

  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Principal == { Service = "lambda.amazonaws.com" }
    error_message = "Lambda alone takes it over."
  }
}

run "a_role_uses_the_key_through_its_services_alone" {
  command = plan
  module {
    source = "./modules/function"
  }

  variables {
    key_arn = "arn:aws:kms:eu-west-2:123456789012:key/1"
  }

  assert {
    condition = jsonencode(jsondecode(aws_iam_role_policy.this.policy).Statement[2]) == jsonencode({
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Condition = { StringEquals = { "kms:ViaService" = ["s3.eu-west-2.amazonaws.com", "sqs.eu-west-2.amazonaws.com"] } }
      Effect    = "Allow"
      Resource  = ["arn:aws:kms:eu-west-2:123456789012:key/1"]
    })
    error_message = "That key, through S3 and SQS."
  }

  assert {
    condition     = aws_lambda_function.this.kms_key_arn == var.key_arn && aws_cloudwatch_log_group.this.kms_key_id == var.key_arn
    error_message = "Its environment and its log too."
  }
}

run "in_a_vpc_lambda_makes_interfaces_and_the_function_itself_does_not" {
  command = plan
  module {
    source = "./modules/function"
  }

  variables {
    network = { subnet_ids = ["subnet-a"], security_group_ids = ["sg-1"] }
  }

  assert {
    condition     = aws_lambda_function.this.vpc_config[0].subnet_ids == toset(["subnet-a"]) && aws_lambda_function.this.vpc_config[0].security_group_ids == toset(["sg-1"])
    error_message = "Attached."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Effect if contains(statement.Action, "ec2:CreateNetworkInterface")] == ["Allow", "Deny"]
    error_message = "Allowed to Lambda, denied to what runs inside."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this.policy).Statement[3].Condition == { ArnEquals = { "lambda:SourceFunctionArn" = "arn:aws:lambda:eu-west-2:123456789012:function:totes-prod-one" } }
    error_message = "By the function's own calls."
  }
}

run "a_role_has_the_boundary_that_was_chosen" {
  command = plan
  module {
    source = "./modules/function"
  }

  variables {
    permissions_boundary = "arn:aws:iam::123456789012:policy/boundary"
  }

  assert {
    condition     = aws_iam_role.this.permissions_boundary == var.permissions_boundary
    error_message = "The boundary."
  }
}

run "refuses_a_right_that_is_not_named" {
  command = plan
  module {
    source = "./modules/function"
  }

  variables {
    statements = [{ actions = ["s3:*"], resources = ["arn:aws:s3:::one"] }]
  }

  expect_failures = [var.statements]
}

run "refuses_a_right_over_everything" {
  command = plan
  module {
    source = "./modules/function"
  }

  variables {
    statements = [{ actions = ["s3:GetObject"], resources = ["*"] }]
  }

  expect_failures = [var.statements]
}

run "refuses_a_password_in_the_environment" {
  command = plan
  module {
    source = "./modules/function"
  }

  variables {
    environment = { TOTES_DSN = "postgresql://reader:secret@db/totesys" }
  }

  expect_failures = [var.environment]
}

run "refuses_what_lambda_does_not_take" {
  command = plan
  module {
    source = "./modules/function"
  }

  variables {
    timeout_seconds    = 901
    memory_mb          = 128
    runtime            = "nodejs22.x"
    architecture       = "riscv"
    handler            = "handler"
    log_retention_days = 31
  }

  expect_failures = [var.timeout_seconds, var.memory_mb, var.runtime, var.architecture, var.handler, var.log_retention_days]
}

run "a_schedule_that_cannot_be_delivered_is_tried_within_its_period_and_then_kept" {
  command = plan
  module {
    source = "./modules/schedules"
  }

  assert {
    condition     = aws_scheduler_schedule.this["poller"].schedule_expression == "rate(1 minute)" && aws_scheduler_schedule.this["poller"].target[0].retry_policy[0].maximum_event_age_in_seconds == 60 && aws_scheduler_schedule.this["poller"].target[0].retry_policy[0].maximum_retry_attempts == 3
    error_message = "Not for longer than until its successor."
  }

  assert {
    condition     = aws_sqs_queue.dead_letters.name == "totes-prod-schedules-dlq" && aws_sqs_queue.dead_letters.message_retention_seconds == 1209600 && aws_sqs_queue.dead_letters.sqs_managed_sse_enabled
    error_message = "Kept for fourteen days, encrypted."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.dead_letters.redrive_allow_policy) == { redrivePermission = "denyAll" } && jsondecode(aws_sqs_queue.dead_letters.policy).Statement[0].Sid == "NothingWithoutTls"
    error_message = "Invocations end here, no messages of queues, and nothing without TLS."
  }
}

run "eventbridge_may_invoke_these_functions_and_say_where_it_failed" {
  command = plan
  module {
    source = "./modules/schedules"
  }

  assert {
    condition = jsonencode(jsondecode(aws_iam_role_policy.this.policy).Statement) == jsonencode([
      { Action = ["lambda:InvokeFunction"], Effect = "Allow", Resource = ["arn:aws:lambda:eu-west-2:123456789012:function:totes-prod-poller"] },
      { Action = ["sqs:SendMessage"], Effect = "Allow", Resource = ["arn:aws:sqs:eu-west-2:123456789012:totes-prod-schedules-dlq"] },
    ])
    error_message = "And nothing else."
  }

  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Condition == { StringEquals = { "aws:SourceAccount" = "123456789012", "aws:SourceArn" = "arn:aws:scheduler:eu-west-2:123456789012:schedule-group/default" } }
    error_message = "For schedules of this account alone."
  }
}

run "refuses_a_rate_that_eventbridge_does_not_spell" {
  command = plan
  module {
    source = "./modules/schedules"
  }

  variables {
    schedules = { poller = { expression = "rate(1 minutes)", period_seconds = 60, function_arn = "arn:aws:lambda:eu-west-2:123456789012:function:totes-prod-poller" } }
  }

  expect_failures = [var.schedules]
}

run "refuses_to_invoke_whatever_is_there" {
  command = plan
  module {
    source = "./modules/schedules"
  }

  variables {
    function_arns = { poller = "arn:aws:lambda:eu-west-2:123456789012:function:*" }
  }

  expect_failures = [var.function_arns]
}

run "the_key_is_turned_and_kept_long_and_serves_logs_and_alarms" {
  command = plan
  module {
    source = "./modules/key"
  }

  assert {
    condition     = aws_kms_key.this.enable_key_rotation && aws_kms_key.this.deletion_window_in_days == 30
    error_message = "Without it, all that it encrypted is gone."
  }

  assert {
    condition     = [for statement in jsondecode(aws_kms_key.this.policy).Statement : values(statement.Principal)[0]] == ["arn:aws:iam::123456789012:root", "logs.eu-west-2.amazonaws.com", "cloudwatch.amazonaws.com"]
    error_message = "The account's own policies, and two services that act on their own."
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_kms_key.this.policy).Statement : can(statement.Condition) || statement.Sid == "TheAccountsOwnPolicies"])
    error_message = "Services for this deployment's logs and this account's alarms alone."
  }
}

run "a_network_lets_out_to_the_databases_and_the_endpoints_and_nothing_in" {
  command = plan
  module {
    source = "./modules/network"
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.database["source"].cidr_ipv4 == "10.0.1.0/24" && aws_vpc_security_group_egress_rule.database["source"].to_port == 5432 && length(aws_vpc_security_group_egress_rule.gateway) == 0
    error_message = "The databases' own range and port, and no way to everywhere."
  }

  assert {
    condition     = toset(keys(aws_vpc_endpoint.interface)) == toset(["sqs", "secretsmanager"]) && aws_vpc_endpoint.s3[0].vpc_endpoint_type == "Gateway" && aws_vpc_endpoint.s3[0].route_table_ids == toset(["rtb-1"]) && aws_vpc_endpoint.interface["sqs"].private_dns_enabled
    error_message = "S3 by a route, the others by their names."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints[0].from_port == 443 && aws_vpc_security_group_ingress_rule.endpoints[0].cidr_ipv4 == null
    error_message = "Into the endpoints come the functions alone."
  }
}

run "a_network_without_endpoints_uses_the_subnets_gateway" {
  command = plan
  module {
    source = "./modules/network"
  }

  variables {
    endpoints       = false
    route_table_ids = []
  }

  assert {
    condition     = length(aws_vpc_endpoint.s3) + length(aws_vpc_endpoint.interface) == 0 && aws_vpc_security_group_egress_rule.gateway[0].to_port == 443
    error_message = "HTTPS to everywhere, and nothing else."
  }
}

run "refuses_a_network_that_reaches_nothing" {
  command = plan
  module {
    source = "./modules/network"
  }

  variables {
    route_table_ids = []
    databases       = {}
    services        = ["sqs"]
  }

  expect_failures = [var.route_table_ids, var.databases, var.services]
}
