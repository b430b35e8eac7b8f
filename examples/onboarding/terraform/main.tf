# The roles that Plumbline assumes in an account: one that reads, and, where you ask for it, one that changes.
#
# audit.json and enforce.json are what `plumbline iam-policy audit` and `plumbline iam-policy enforce` print: what any
# baseline can need. Print them with -f and your manifests for less, and with --partition for aws-cn or aws-us-gov.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

# The same document as `plumbline iam-policy trust` prints.
locals {
  trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "PlumblineOperator"
      Effect    = "Allow"
      Principal = { AWS = var.operator_role_arn }
      Action    = ["sts:AssumeRole"]
      Condition = { StringEquals = { "sts:ExternalId" = var.external_id } }
    }]
  })
}

resource "aws_iam_role" "audit" {
  name               = var.audit_role_name
  description        = "Plumbline reads this account's settings with it. It can change nothing."
  assume_role_policy = local.trust
}

resource "aws_iam_role_policy" "audit" {
  name   = "audit"
  role   = aws_iam_role.audit.id
  policy = file("${path.module}/audit.json")
}

resource "aws_iam_role" "enforce" {
  count              = var.enforce_role ? 1 : 0
  name               = var.enforce_role_name
  description        = "Plumbline closes drift with it, one recorded change at a time."
  assume_role_policy = local.trust
}

resource "aws_iam_role_policy" "enforce" {
  count  = var.enforce_role ? 1 : 0
  name   = "enforce"
  role   = aws_iam_role.enforce[0].id
  policy = file("${path.module}/enforce.json")
}
