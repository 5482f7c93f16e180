variable "prefix" {
  type        = string
  description = "What every name begins with."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,39}$", var.prefix))
    error_message = "Expected a prefix of at most 40 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "schedules" {
  type        = map(object({ expression = string, period_seconds = number, function_arn = string }))
  description = "Function -> when it is invoked. A minute is EventBridge's floor."

  validation {
    condition     = alltrue([for schedule in values(var.schedules) : can(regex("^rate\\((1 minute|([2-9]|[1-9][0-9]+) minutes)\\)$", schedule.expression))])
    error_message = "Expected rate(1 minute) or rate(N minutes), as EventBridge spells it."
  }
}

variable "function_arns" {
  type        = map(string)
  description = "Function -> its ARN, known before it is made: what the role may invoke. What is missing is never started."

  validation {
    condition     = alltrue([for arn in values(var.function_arns) : !can(regex("\\*", arn))])
    error_message = "Expected functions that are named, without a wildcard."
  }
}

variable "dead_letters_retention_seconds" {
  type        = number
  description = "How long an invocation that could not be delivered is kept, with the reason in its attributes."

  validation {
    condition     = var.dead_letters_retention_seconds >= 24 * 3600 && var.dead_letters_retention_seconds <= 14 * 24 * 3600
    error_message = "Expected one to fourteen days."
  }
}

variable "permissions_boundary" {
  type        = string
  description = "ARN of the policy that bounds the role; null for none."
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:", var.permissions_boundary))
    error_message = "Expected a policy's ARN, or null."
  }
}

variable "key_arn" {
  type        = string
  description = "KMS key of the dead-letter queue; null for SQS's own."
  default     = null

  validation {
    condition     = var.key_arn == null || can(regex("^arn:", var.key_arn))
    error_message = "Expected a key's ARN, or null."
  }
}

variable "account_id" {
  type        = string
  description = "The account whose schedules may use the role; those of any other one are refused."

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "Expected an account id of twelve digits."
  }
}

variable "region" {
  type        = string
  description = "The region of the schedules. With a wrong one none may use the role."

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "Expected a region, as eu-west-2."
  }
}

variable "partition" {
  type        = string
  description = "aws, aws-cn or aws-us-gov: what ARNs begin with. With a wrong one the policies are refused."

  validation {
    condition     = can(regex("^aws(-[a-z]+)*$", var.partition))
    error_message = "Expected a partition, as aws."
  }
}
