resource "aws_iam_role" "this" {
  name                 = var.name
  description          = "What the function ${var.name} may do."
  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  #checkov:skip=CKV_AWS_355: network interfaces have no ARN that is known before, see local.interfaces
  #checkov:skip=CKV_AWS_290: as above
  name = "own"
  role = aws_iam_role.this.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [for statement in concat(var.statements, [local.log]) : {
        Effect   = "Allow"
        Action   = statement.actions
        Resource = statement.resources
      }],
      [for statement in [local.key] : statement if var.key_arn != null],
      [for statement in local.interfaces : statement if var.network != null],
    )
  })
}

locals {
  # Streams are named by Lambda, so this ends with a wildcard; it is within the function's own group.
  log = {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["arn:${var.partition}:logs:${var.region}:${var.account_id}:log-group:/aws/lambda/${var.name}:*"]
  }

  # Senders to an encrypted queue need both; through these services alone, so that the key is no tool by itself.
  key = {
    Effect   = "Allow"
    Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource = [var.key_arn]
    Condition = {
      StringEquals = { "kms:ViaService" = [for service in var.encrypted_services : "${service}.${var.region}.amazonaws.com"] }
    }
  }

  # Lambda makes the network interfaces in the role's name. Describing knows no resources, and an interface no ARN before it
  # is made, so this is for all of them; hence what runs inside the function is denied what Lambda itself may do.
  interface_actions = [
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
  ]
  interfaces = [
    { Effect = "Allow", Action = local.interface_actions, Resource = ["*"] },
    {
      Effect   = "Deny"
      Action   = local.interface_actions
      Resource = ["*"]
      Condition = {
        ArnEquals = { "lambda:SourceFunctionArn" = "arn:${var.partition}:lambda:${var.region}:${var.account_id}:function:${var.name}" }
      }
    },
  ]
}
