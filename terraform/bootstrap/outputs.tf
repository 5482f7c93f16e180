output "state_bucket" {
  description = "For -backend-config=bucket= and the repository's variable STATE_BUCKET."
  value       = aws_s3_bucket.state.id
}

output "state_key" {
  description = "For -backend-config=key=: the only state that the roles may read, and the apply role write."
  value       = local.state_key
}

output "plan_role_arn" {
  description = "For the repository's variable PLAN_ROLE_ARN."
  value       = aws_iam_role.github["plan"].arn
}

output "apply_role_arn" {
  description = "For the repository's variable APPLY_ROLE_ARN."
  value       = aws_iam_role.github["apply"].arn
}

output "permissions_boundary" {
  description = "For the variable of this name in terraform/: without it the apply role may make no role."
  value       = aws_iam_policy.boundary.arn
}
