# What each function may do beside writing its own log (modules/function): what its code calls, on what it calls it.
# The end-to-end test on the emulator holds every role against the calls that were recorded.
#
# s3:ListBucket stands wherever objects are read: without it S3 says "forbidden" of an object that is missing, and a message
# that can never succeed would be tried for thirteen hours instead of being parked.
# s3:GetObject stands wherever objects are written: a second delivery looks whether what is there is the same bytes, and
# If-Match asks for it.
locals {
  consuming = {
    for function, mapping in local.topology.event_source_mappings : function => [
      {
        actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
        resources = [local.queue_arns[mapping.queue]]
      },
      { actions = ["sqs:SendMessage"], resources = ["${local.queue_arns[mapping.queue]}-dlq"] },
    ]
  }

  statements = {
    poller = [
      { actions = ["s3:ListBucket"], resources = [local.bucket_arns.archive, local.bucket_arns.control] },
      { actions = ["s3:GetObject", "s3:PutObject"], resources = ["${local.bucket_arns.archive}/*", "${local.bucket_arns.control}/checkpoint.json"] },
      { actions = ["sqs:SendMessage"], resources = [local.queue_arns.changes] },
      { actions = ["secretsmanager:GetSecretValue"], resources = [aws_secretsmanager_secret.dsn["source"].arn] },
    ]
    transform = concat(local.consuming.transform, [
      { actions = ["s3:ListBucket"], resources = [local.bucket_arns.archive] },
      { actions = ["s3:GetObject"], resources = ["${local.bucket_arns.archive}/*"] },
      { actions = ["s3:GetObject", "s3:PutObject"], resources = ["${local.bucket_arns.processed}/*"] },
      { actions = ["sqs:SendMessage"], resources = [local.queue_arns.loads] },
    ])
    loader = concat(local.consuming.loader, [
      { actions = ["s3:ListBucket"], resources = [local.bucket_arns.processed] },
      { actions = ["s3:GetObject"], resources = ["${local.bucket_arns.processed}/*"] },
      { actions = ["secretsmanager:GetSecretValue"], resources = [aws_secretsmanager_secret.dsn["warehouse"].arn] },
    ])
    reconciler = [
      { actions = ["s3:ListBucket"], resources = [local.bucket_arns.archive, local.bucket_arns.control] },
      { actions = ["s3:GetObject", "s3:PutObject"], resources = ["${local.bucket_arns.archive}/*", "${local.bucket_arns.control}/reconciler.json"] },
      { actions = ["s3:GetObject"], resources = ["${local.bucket_arns.control}/checkpoint.json"] },
      { actions = ["sqs:SendMessage"], resources = [local.queue_arns.changes] },
      { actions = ["sqs:GetQueueAttributes"], resources = [local.queue_arns.changes, local.queue_arns.loads] },
      { actions = ["secretsmanager:GetSecretValue"], resources = [for secret in ["source", "warehouse"] : aws_secretsmanager_secret.dsn[secret].arn] },
    ]
    compactor = [
      { actions = ["s3:ListBucket"], resources = [local.bucket_arns.processed] },
      { actions = ["s3:GetObject"], resources = ["${local.bucket_arns.processed}/*"] },
      { actions = ["s3:PutObject"], resources = ["${local.bucket_arns.processed}/_compacted/*", "${local.bucket_arns.processed}/_manifest/*"] },
    ]
  }
}
