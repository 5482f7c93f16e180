# A function with its role and its log. It is made when both are there: a first invocation without them would fail, and
# Lambda would make a log group of its own that is kept for ever.
resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158: encrypted by CloudWatch unless customer_managed_key is set
  #checkov:skip=CKV_AWS_338: single rows are told of; what is lost with the log stands in the archive and the warehouse
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.key_arn
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_50: tracing knows nothing of pg8000, and importing it takes a third as long as everything else; what joins the stages is the change batch's id in every line of the log
  #checkov:skip=CKV_AWS_115: consumers are bounded by their mapping's maximum_concurrency, and of two pollers the lease lets one work; reserving would take from the account's other functions
  #checkov:skip=CKV_AWS_116: consumers answer for each message and queues have dead-letter queues; of a scheduled run that failed nothing is left to do, the next one takes up everything
  #checkov:skip=CKV_AWS_117: attached to a VPC where the databases are in one, see the variable vpc
  #checkov:skip=CKV_AWS_173: names and URLs, no secret; encrypted by Lambda unless customer_managed_key is set
  #checkov:skip=CKV_AWS_272: the packages come from a bucket that the apply role alone writes, under the digest of their bytes; signing would add a profile and prove the same
  function_name    = var.name
  role             = aws_iam_role.this.arn
  handler          = var.handler
  runtime          = var.runtime
  architectures    = [var.architecture]
  memory_size      = var.memory_mb
  timeout          = var.timeout_seconds
  s3_bucket        = var.package.bucket
  s3_key           = var.package.key
  source_code_hash = var.package.hash
  layers           = var.layer_arns
  kms_key_arn      = var.key_arn

  environment {
    variables = var.environment
  }

  # Our lines are JSON already, and CloudWatch reads metrics only from lines that are left as they are.
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this.name
  }

  tracing_config {
    mode = "PassThrough"
  }

  dynamic "vpc_config" {
    for_each = var.network == null ? [] : [var.network]

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  depends_on = [aws_iam_role_policy.this]
}

# A scheduled run that fails is not tried again: the next one comes with the schedule, and would meet it.
resource "aws_lambda_function_event_invoke_config" "this" {
  count = var.scheduled ? 1 : 0

  function_name                = aws_lambda_function.this.function_name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 60
}
