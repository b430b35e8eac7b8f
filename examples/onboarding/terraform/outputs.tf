output "audit_role_arn" {
  description = "The role that reads."
  value       = aws_iam_role.audit.arn
}

output "enforce_role_arn" {
  description = "The role that changes, where it is made."
  value       = one(aws_iam_role.enforce[*].arn)
}
