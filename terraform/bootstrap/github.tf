# GitHub's workflows take over a role by the identity that GitHub gives each run; no key is stored anywhere. Who may change
# code may plan; who may approve in the environment may apply.
locals {
  issuer       = "token.actions.githubusercontent.com"
  provider_arn = var.github_provider_arn == null ? aws_iam_openid_connect_provider.github[0].arn : var.github_provider_arn

  subjects = {
    # main as well: what is approved is the plan of main.
    plan  = ["repo:${var.github_repository}:pull_request", "repo:${var.github_repository}:ref:refs/heads/main"]
    apply = ["repo:${var.github_repository}:environment:${var.environment}"]
  }

  attached = merge(
    { plan_read = { role = "plan", policy = "read" } },
    { for policy in keys(local.policies) : "apply_${policy}" => { role = "apply", policy = policy } },
  )
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.github_provider_arn == null ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "github" {
  for_each = local.subjects

  name                 = "${local.github_prefix}-${each.key}"
  description          = "Taken over by GitHub to ${each.key} ${local.prefix}."
  max_session_duration = 3600

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = local.provider_arn }
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = each.value
        }
      }
    }]
  })
}

# Managed rather than inline, since an inline policy ends at 10,240 characters together.
resource "aws_iam_policy" "github" {
  for_each = local.policies

  name   = "${local.github_prefix}-${each.key}"
  policy = jsonencode({ Version = "2012-10-17", Statement = each.value })

  lifecycle {
    precondition {
      condition     = length(jsonencode({ Version = "2012-10-17", Statement = each.value })) <= 6144
      error_message = "Expected at most 6,144 characters, which is all that a managed policy holds: divide ${each.key}."
    }
  }
}

resource "aws_iam_role_policy_attachment" "github" {
  for_each = local.attached

  role       = aws_iam_role.github[each.value.role].name
  policy_arn = aws_iam_policy.github[each.value.policy].arn
}

# What any role of the deployment may do at the most, whatever policy it is given: so that who can apply cannot make a role
# that may do more than the pipeline does.
resource "aws_iam_policy" "boundary" {
  #checkov:skip=CKV_AWS_355: network interfaces have no ARN that is known before; see modules/function/role.tf
  #checkov:skip=CKV_AWS_290: as above
  #checkov:skip=CKV_AWS_289: a boundary grants nothing
  #checkov:skip=CKV_AWS_288: as above
  name   = "${local.github_prefix}-boundary"
  policy = jsonencode({ Version = "2012-10-17", Statement = local.boundary })
}
