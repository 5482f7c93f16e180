# Plans for tests/terraform, which holds them against the embedded stack and looks at each resource of them.
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
  runbook_url  = "https://example.com/totes/docs/operations.md"
}

run "as_it_is_by_default" {
  command = plan
}

run "in_a_vpc_with_a_key" {
  command = plan

  variables {
    customer_managed_key = true
    vpc = {
      subnet_ids      = ["subnet-a", "subnet-b"]
      route_table_ids = ["rtb-1"]
      databases       = { source = { cidr = "10.0.1.0/24" }, warehouse = { cidr = "10.0.2.0/24", port = 5433 } }
    }
  }
}
