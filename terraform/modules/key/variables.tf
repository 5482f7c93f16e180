variable "prefix" {
  type        = string
  description = "What the names of log groups and alarms that may use the key begin with, and the key's alias."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,39}$", var.prefix))
    error_message = "Expected a prefix of at most 40 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "account_id" {
  type        = string
  description = "The account whose policies decide about the key. With a wrong one nobody may use or change it."

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "Expected an account id of twelve digits."
  }
}

variable "region" {
  type        = string
  description = "The region of the logs. With a wrong one their groups cannot be made."

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "Expected a region, as eu-west-2."
  }
}

variable "partition" {
  type        = string
  description = "aws, aws-cn or aws-us-gov: what ARNs begin with. With a wrong one the policy is refused."

  validation {
    condition     = can(regex("^aws(-[a-z]+)*$", var.partition))
    error_message = "Expected a partition, as aws."
  }
}
