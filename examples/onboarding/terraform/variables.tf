variable "operator_role_arn" {
  description = "The ARN of the role that the operator runs as, which alone may assume these roles."
  type        = string
}

variable "external_id" {
  description = "The externalId of the AwsAccount, which the operator must name."
  type        = string
}

variable "enforce_role" {
  description = "Whether the role that may change the account is made, too."
  type        = bool
  default     = false
}

variable "audit_role_name" {
  description = "The auditRoleName of the AwsAccount."
  type        = string
  default     = "PlumblineAudit"
}

variable "enforce_role_name" {
  description = "The enforceRoleName of the AwsAccount."
  type        = string
  default     = "PlumblineEnforce"
}
