# What GitHub's roles may do: on what begins with the prefix, by the actions that Terraform calls for it. A wildcard within an
# action's name stands where a service reads each setting by an action of its own (s3:GetBucket…), and all of them are
# about the one resource; a resource is `*` only for what has none.
locals {
  arn = {
    for service in ["cloudwatch", "ec2", "kms", "lambda", "logs", "scheduler", "secretsmanager", "sns", "sqs", "ssm"] :
    service => "arn:${local.partition}:${service}:${var.region}:${local.account_id}"
  }
  data_buckets = "arn:${local.partition}:s3:::${local.prefix}-*-${local.account_id}-${var.region}"
  artefacts    = "arn:${local.partition}:s3:::${local.prefix}-artefacts-${local.account_id}-${var.region}"
  roles        = "arn:${local.partition}:iam::${local.account_id}:role/${local.prefix}-*"
  functions    = ["${local.arn.lambda}:function:${local.prefix}-*", "${local.arn.lambda}:layer:${local.prefix}-*"]
  queues       = "${local.arn.sqs}:${local.prefix}-*"
  topics       = "${local.arn.sns}:${local.prefix}-*"
  secrets      = "${local.arn.secretsmanager}:secret:${local.prefix}/*"
  schedules    = "${local.arn.scheduler}:schedule/default/${local.prefix}-*"
  log_groups   = "${local.arn.logs}:log-group:/aws/lambda/${local.prefix}-*"
  alarms       = "${local.arn.cloudwatch}:alarm:${local.prefix}-*"
  dashboards   = "arn:${local.partition}:cloudwatch::${local.account_id}:dashboard/${local.prefix}"
  parameters   = "${local.arn.ssm}:parameter/${local.project}/${var.environment}/*"
  state_object = "${local.state_arn}/${local.state_key}"

  own = { StringEquals = { "aws:ResourceTag/project" = local.project, "aws:ResourceTag/environment" = var.environment } }

  policies = {
    # Of both roles. No value of a secret, no message and no object of archive or processed is among it.
    read = [
      { Sid = "State", Effect = "Allow", Action = ["s3:GetObject"], Resource = [local.state_object] },
      { Sid = "FindState", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [local.state_arn] },
      { Sid = "Buckets", Effect = "Allow", Action = ["s3:GetBucket*", "s3:GetAccelerateConfiguration", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration", "s3:GetReplicationConfiguration", "s3:ListBucket"], Resource = [local.data_buckets] },
      { Sid = "Packages", Effect = "Allow", Action = ["s3:GetObject", "s3:GetObjectTagging"], Resource = ["${local.artefacts}/*"] },
      { Sid = "Queues", Effect = "Allow", Action = ["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListQueueTags"], Resource = [local.queues] },
      { Sid = "Functions", Effect = "Allow", Action = ["lambda:Get*", "lambda:ListTags", "lambda:ListVersionsByFunction"], Resource = concat(local.functions, ["${local.functions[1]}:*"]) },
      { Sid = "Roles", Effect = "Allow", Action = ["iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies"], Resource = [local.roles] },
      { Sid = "Secrets", Effect = "Allow", Action = ["secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy"], Resource = [local.secrets] },
      { Sid = "Schedules", Effect = "Allow", Action = ["scheduler:GetSchedule"], Resource = [local.schedules] },
      { Sid = "Topics", Effect = "Allow", Action = ["sns:GetTopicAttributes", "sns:ListTagsForResource"], Resource = [local.topics] },
      { Sid = "Dashboard", Effect = "Allow", Action = ["cloudwatch:GetDashboard"], Resource = [local.dashboards] },
      { Sid = "Alarms", Effect = "Allow", Action = ["cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource"], Resource = [local.alarms] },
      { Sid = "Logs", Effect = "Allow", Action = ["logs:ListTagsForResource"], Resource = [local.log_groups] },
      { Sid = "Description", Effect = "Allow", Action = ["ssm:GetParameter", "ssm:GetParameters", "ssm:ListTagsForResource"], Resource = [local.parameters] },
      { Sid = "Key", Effect = "Allow", Action = ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags"], Resource = ["${local.arn.kms}:key/*"], Condition = local.own },
      # None of these takes a resource, or a tag: they list, or describe what has an id that is not known before.
      { Sid = "NoResource", Effect = "Allow", Action = ["ec2:DescribeNetworkInterfaces", "ec2:DescribePrefixLists", "ec2:DescribeSecurityGroupRules", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcAttribute", "ec2:DescribeVpcEndpoints", "ec2:DescribeVpcs", "kms:ListAliases", "lambda:GetEventSourceMapping", "lambda:ListEventSourceMappings", "logs:DescribeLogGroups", "sns:GetSubscriptionAttributes", "ssm:DescribeParameters", "sts:GetCallerIdentity"], Resource = ["*"] },
    ]

    # Of the apply role, on top.
    write = [
      { Sid = "State", Effect = "Allow", Action = ["s3:PutObject"], Resource = [local.state_object] },
      { Sid = "Lock", Effect = "Allow", Action = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], Resource = ["${local.state_object}.tflock"] },
      { Sid = "Buckets", Effect = "Allow", Action = ["s3:CreateBucket", "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:PutBucket*", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration"], Resource = [local.data_buckets] },
      { Sid = "Packages", Effect = "Allow", Action = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:ListBucketVersions", "s3:PutObject", "s3:PutObjectTagging"], Resource = [local.artefacts, "${local.artefacts}/*"] },
      { Sid = "Queues", Effect = "Allow", Action = ["sqs:CreateQueue", "sqs:DeleteQueue", "sqs:SetQueueAttributes", "sqs:TagQueue", "sqs:UntagQueue"], Resource = [local.queues] },
      { Sid = "Functions", Effect = "Allow", Action = ["lambda:CreateFunction", "lambda:DeleteFunction", "lambda:DeleteFunctionEventInvokeConfig", "lambda:DeleteLayerVersion", "lambda:PublishLayerVersion", "lambda:PutFunctionEventInvokeConfig", "lambda:TagResource", "lambda:UntagResource", "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration"], Resource = concat(local.functions, ["${local.functions[1]}:*"]) },
      # A mapping has an id that is not known before; the functions that it may be for are.
      { Sid = "Mappings", Effect = "Allow", Action = ["lambda:CreateEventSourceMapping", "lambda:DeleteEventSourceMapping", "lambda:UpdateEventSourceMapping"], Resource = ["*"], Condition = { ArnLike = { "lambda:FunctionArn" = local.functions[0] } } },
      { Sid = "TagMappings", Effect = "Allow", Action = ["lambda:TagResource", "lambda:UntagResource"], Resource = ["${local.arn.lambda}:event-source-mapping:*"] },
      { Sid = "Secrets", Effect = "Allow", Action = ["secretsmanager:CreateSecret", "secretsmanager:DeleteSecret", "secretsmanager:RestoreSecret", "secretsmanager:TagResource", "secretsmanager:UntagResource", "secretsmanager:UpdateSecret"], Resource = [local.secrets] },
      { Sid = "Schedules", Effect = "Allow", Action = ["scheduler:CreateSchedule", "scheduler:DeleteSchedule", "scheduler:UpdateSchedule"], Resource = [local.schedules] },
    ]

    watch = [
      { Sid = "Topics", Effect = "Allow", Action = ["sns:CreateTopic", "sns:DeleteTopic", "sns:SetTopicAttributes", "sns:Subscribe", "sns:TagResource", "sns:UntagResource"], Resource = [local.topics] },
      { Sid = "Alarms", Effect = "Allow", Action = ["cloudwatch:DeleteAlarms", "cloudwatch:PutCompositeAlarm", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource", "cloudwatch:UntagResource"], Resource = [local.alarms] },
      { Sid = "Dashboard", Effect = "Allow", Action = ["cloudwatch:DeleteDashboards", "cloudwatch:PutDashboard"], Resource = [local.dashboards] },
      { Sid = "Logs", Effect = "Allow", Action = ["logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:DisassociateKmsKey", "logs:PutRetentionPolicy", "logs:TagResource", "logs:UntagResource"], Resource = [local.log_groups, "${local.log_groups}:*"] },
      { Sid = "Description", Effect = "Allow", Action = ["ssm:AddTagsToResource", "ssm:DeleteParameter", "ssm:PutParameter", "ssm:RemoveTagsFromResource"], Resource = [local.parameters] },
      { Sid = "MakeKey", Effect = "Allow", Action = ["kms:CreateKey"], Resource = ["*"], Condition = { StringEquals = { "aws:RequestTag/project" = local.project, "aws:RequestTag/environment" = var.environment } } },
      { Sid = "Key", Effect = "Allow", Action = ["kms:CreateGrant", "kms:Decrypt", "kms:EnableKeyRotation", "kms:Encrypt", "kms:GenerateDataKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateKeyDescription"], Resource = ["${local.arn.kms}:key/*"], Condition = local.own },
      { Sid = "KeysName", Effect = "Allow", Action = ["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"], Resource = ["${local.arn.kms}:alias/${local.prefix}"] },
      { Sid = "KeyToName", Effect = "Allow", Action = ["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"], Resource = ["${local.arn.kms}:key/*"], Condition = local.own },
      # E-mail subscriptions have an id that is not known before, and no tags.
      { Sid = "Subscriptions", Effect = "Allow", Action = ["sns:Unsubscribe"], Resource = ["*"] },
    ]

    # Of the apply role, for the variable vpc: into a VPC that is there, and on what is tagged as this deployment's.
    network = [
      { Sid = "Make", Effect = "Allow", Action = ["ec2:CreateSecurityGroup", "ec2:CreateVpcEndpoint"], Resource = [for kind in ["security-group", "vpc", "vpc-endpoint", "subnet", "route-table"] : "${local.arn.ec2}:${kind}/*"] },
      { Sid = "TagWhatIsMade", Effect = "Allow", Action = ["ec2:CreateTags"], Resource = ["${local.arn.ec2}:*/*"], Condition = { StringEquals = { "ec2:CreateAction" = ["AuthorizeSecurityGroupEgress", "AuthorizeSecurityGroupIngress", "CreateSecurityGroup", "CreateVpcEndpoint"] } } },
      { Sid = "Own", Effect = "Allow", Action = ["ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags", "ec2:DeleteSecurityGroup", "ec2:DeleteTags", "ec2:DeleteVpcEndpoints", "ec2:ModifySecurityGroupRules", "ec2:ModifyVpcEndpoint", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress"], Resource = [for kind in ["security-group", "security-group-rule", "vpc-endpoint"] : "${local.arn.ec2}:${kind}/*"], Condition = local.own },
      { Sid = "Rules", Effect = "Allow", Action = ["ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress"], Resource = ["${local.arn.ec2}:security-group-rule/*"] },
      { Sid = "EndpointsPlace", Effect = "Allow", Action = ["ec2:ModifyVpcEndpoint"], Resource = [for kind in ["subnet", "route-table"] : "${local.arn.ec2}:${kind}/*"] },
    ]

    # Of the apply role: roles of the deployment, none without the boundary, which it may not take away again.
    roles = [
      { Sid = "BoundedRoles", Effect = "Allow", Action = ["iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"], Resource = [local.roles], Condition = { StringEquals = { "iam:PermissionsBoundary" = local.boundary_arn } } },
      { Sid = "Roles", Effect = "Allow", Action = ["iam:DeleteRole", "iam:DeleteRolePolicy", "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRoleDescription"], Resource = [local.roles] },
      { Sid = "HandOver", Effect = "Allow", Action = ["iam:PassRole"], Resource = [local.roles], Condition = { StringEquals = { "iam:PassedToService" = ["lambda.amazonaws.com", "scheduler.amazonaws.com"] } } },
    ]
  }

  boundary = [
    { Sid = "Buckets", Effect = "Allow", Action = ["s3:GetObject", "s3:ListBucket", "s3:PutObject"], Resource = [local.data_buckets, "${local.data_buckets}/*"] },
    { Sid = "Queues", Effect = "Allow", Action = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:SendMessage"], Resource = [local.queues] },
    { Sid = "Secrets", Effect = "Allow", Action = ["secretsmanager:GetSecretValue"], Resource = [local.secrets] },
    { Sid = "Functions", Effect = "Allow", Action = ["lambda:InvokeFunction"], Resource = [local.functions[0]] },
    { Sid = "Logs", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = ["${local.log_groups}:*"] },
    { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = ["${local.arn.kms}:key/*"], Condition = local.own },
    { Sid = "Interfaces", Effect = "Allow", Action = ["ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses"], Resource = ["*"] },
  ]
}
