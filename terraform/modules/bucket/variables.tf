variable "name" {
  type        = string
  description = "Unique in the world. Another name is another bucket, and this one, if it is empty, is destroyed."

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.name))
    error_message = "Expected 3 to 63 lower-case letters, digits and hyphens."
  }
}

variable "versioned" {
  type        = bool
  description = "Whether what is overwritten or deleted by mistake can be had back for replaced_days."
  nullable    = false
}

variable "replaced_days" {
  type        = number
  description = "How long a version that was overwritten or deleted is kept: so long a mistake can be undone."

  validation {
    condition     = var.replaced_days >= 7
    error_message = "Expected seven days at least: a mistake of Friday is seen on Monday."
  }
}

variable "upload_days" {
  type        = number
  description = "After how long the parts of an upload that never ended are removed; they cost, and no listing shows them."

  validation {
    condition     = var.upload_days >= 1
    error_message = "Expected a day at least."
  }
}

variable "expire_days" {
  type        = map(number)
  description = "Prefix of keys (empty: all) -> days after which its objects are deleted. What is not named is kept for ever."

  validation {
    condition     = alltrue([for days in values(var.expire_days) : days > var.least_days])
    error_message = "Expected objects to be kept for longer than least_days: whoever looks at a dead letter looks at the archive and at the quarantined rows beside it."
  }
}

variable "least_days" {
  type        = number
  description = "How long a dead letter is kept: no object that one may point to is deleted before."

  validation {
    condition     = var.least_days >= 1
    error_message = "Expected a day at least."
  }
}

variable "force_destroy" {
  type        = bool
  description = "Whether destroy deletes the objects too. Without it S3 refuses to delete a bucket that is not empty."
  nullable    = false
}

variable "key_arn" {
  type        = string
  description = "KMS key for objects written from now on; null for S3's own."
  default     = null

  validation {
    condition     = var.key_arn == null || can(regex("^arn:", var.key_arn))
    error_message = "Expected a key's ARN, or null."
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
