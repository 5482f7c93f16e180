# Who may take over which role, and what each may do at the most.
mock_provider "aws" {
  override_during = plan

  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
  }

  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/made-up" }
  }
}

variables {
  github_repository = "example/totes"
}

run "the_state_is_versioned_encrypted_and_shut" {
  command = plan

  assert {
    condition     = aws_s3_bucket.state.bucket == "state-totes-prod-123456789012-eu-west-2" && aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
    error_message = "A state that was damaged is had back."
  }

  assert {
    condition     = alltrue([for shut in ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"] : aws_s3_bucket_public_access_block.state[shut]]) && jsondecode(aws_s3_bucket_policy.state.policy).Statement[0].Condition == { Bool = { "aws:SecureTransport" = "false" } }
    error_message = "To the public, and to whoever comes without TLS."
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.state.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "Encrypted by S3."
  }
}

run "pull_requests_and_main_may_plan_and_the_environment_may_apply" {
  command = plan

  assert {
    condition = { for role in ["plan", "apply"] : role => jsondecode(aws_iam_role.github[role].assume_role_policy).Statement[0].Condition.StringEquals } == {
      plan = {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        "token.actions.githubusercontent.com:sub" = ["repo:example/totes:pull_request", "repo:example/totes:ref:refs/heads/main"]
      }
      apply = {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        "token.actions.githubusercontent.com:sub" = ["repo:example/totes:environment:prod"]
      }
    }
    error_message = "Of this repository alone, without a wildcard."
  }

  assert {
    condition     = { for key, attached in local.attached : key => attached.policy if attached.role == "plan" } == { plan_read = "read" }
    error_message = "The plan role reads."
  }
}

run "the_plan_role_changes_nothing_and_reads_no_secret" {
  command = plan

  assert {
    condition     = alltrue([for action in flatten(local.policies.read[*].Action) : can(regex("^[a-z0-9]+:(Get|List|Describe)", action))])
    error_message = "Reading only."
  }

  assert {
    condition     = length(setintersection(flatten(local.policies.read[*].Action), ["secretsmanager:GetSecretValue", "sqs:ReceiveMessage", "kms:Decrypt"])) == 0
    error_message = "Neither a secret's value nor a message."
  }

  assert {
    condition     = alltrue([for statement in local.policies.read : alltrue([for resource in statement.Resource : contains([local.state_object, "${local.artefacts}/*"], resource)]) if contains(statement.Action, "s3:GetObject")])
    error_message = "Of objects, its state and the packages alone."
  }
}

run "both_roles_reach_the_state_of_their_environment_alone" {
  command = plan

  assert {
    condition     = local.state_object == "arn:aws:s3:::state-totes-prod-123456789012-eu-west-2/totes/prod.tfstate"
    error_message = "By its key."
  }

  assert {
    condition     = toset(flatten([for statement in concat(local.policies.write, local.policies.watch) : statement.Resource if anytrue([for resource in statement.Resource : startswith(resource, local.state_arn)])])) == toset([local.state_object, "${local.state_object}.tflock"])
    error_message = "Written: the state and its lock."
  }
}

run "the_apply_role_makes_no_role_without_the_boundary_and_cannot_change_itself" {
  command = plan

  assert {
    condition     = alltrue([for statement in local.policies.roles : try(statement.Condition.StringEquals["iam:PermissionsBoundary"], "") == local.boundary_arn if length(setintersection(statement.Action, ["iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"])) > 0])
    error_message = "What gives a role its rights asks for the boundary."
  }

  assert {
    condition     = length(setintersection(flatten([for policy in values(local.policies) : policy[*].Action]), ["iam:DeleteRolePermissionsBoundary", "iam:AttachRolePolicy", "iam:CreatePolicyVersion", "iam:CreateUser", "iam:*"])) == 0
    error_message = "It could take the boundary away, or give itself what it likes."
  }

  assert {
    condition     = !startswith(aws_iam_role.github["apply"].name, "totes-prod-") && !startswith(aws_s3_bucket.state.bucket, "totes-prod-") && !startswith(aws_iam_policy.boundary.name, "totes-prod-")
    error_message = "What it may change begins with the prefix; its own role, the state and the boundary do not."
  }
}

run "a_policy_fits_into_what_iam_takes" {
  command = plan

  assert {
    condition     = max([for policy in values(local.policies) : length(jsonencode({ Version = "2012-10-17", Statement = policy }))]...) <= 6144 && length(aws_iam_policy.boundary.policy) <= 6144
    error_message = "6,144 characters."
  }
}

run "nothing_is_over_everything_but_what_has_no_resource" {
  command = plan

  assert {
    condition     = toset(flatten([for policy in values(local.policies) : [for statement in policy : statement.Sid if contains(statement.Resource, "*")]])) == toset(["MakeKey", "Mappings", "NoResource", "Subscriptions"])
    error_message = "Each of these is argued in policies.tf."
  }
}

run "an_account_that_has_the_identity_provider_keeps_it" {
  command = plan

  variables {
    github_provider_arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0
    error_message = "An account takes one only."
  }
}

run "refuses_a_repository_with_a_wildcard" {
  command = plan

  variables {
    github_repository = "example/*"
  }

  expect_failures = [var.github_repository]
}

run "refuses_another_identity_provider" {
  command = plan

  variables {
    github_provider_arn = "arn:aws:iam::123456789012:oidc-provider/example.com"
  }

  expect_failures = [var.github_provider_arn]
}

run "refuses_names_that_terraform_would_refuse_too" {
  command = plan

  variables {
    environment = "-"
    region      = "nowhere"
  }

  expect_failures = [var.environment, var.region]
}
