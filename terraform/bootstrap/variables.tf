variable "github_repository" {
  type        = string
  description = "Repository whose workflows may take over the roles, as owner/name. With a wrong one, somebody else's may."

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$", var.github_repository))
    error_message = "Expected owner/name, without a wildcard."
  }
}

variable "environment" {
  type        = string
  description = "The deployment that GitHub may change, and the environment of the repository in which somebody approves it. Another value is another bucket and other roles."
  default     = "prod"

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,14}[a-z0-9])?$", var.environment))
    error_message = "Expected at most 16 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "region" {
  type        = string
  description = "Where the state lies and what GitHub may change is made. Changed later, the state is looked for where it is not."
  default     = "eu-west-2"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "Expected a region, as eu-west-2."
  }
}

variable "github_provider_arn" {
  type        = string
  description = "ARN of the account's identity provider for GitHub where it has one already, since it takes one only; null makes it."
  default     = null

  validation {
    condition     = var.github_provider_arn == null || can(regex("^arn:[a-z-]+:iam::[0-9]{12}:oidc-provider/token\\.actions\\.githubusercontent\\.com$", var.github_provider_arn))
    error_message = "Expected arn:aws:iam::ACCOUNT:oidc-provider/token.actions.githubusercontent.com, or null."
  }
}
