//! From the modes of a baseline and of its controls to the one that counts for each control. No IO.

use crate::api::{Controls, Mode};
use crate::baseline::check::Control;

/// The mode of a control under the baseline's.
#[must_use]
pub fn mode_of(control: Control, ceiling: Mode, controls: &Controls) -> Mode {
    let own = match control {
        Control::PasswordPolicy => controls.password_policy.as_ref().and_then(|own| own.mode),
        Control::Mfa => controls.mfa.as_ref().and_then(|own| own.mode),
        Control::SecurityGroups => controls.security_groups.as_ref().and_then(|own| own.mode),
        Control::S3Encryption => controls.s3_encryption.as_ref().and_then(|own| own.mode),
    };
    ceiling.under(own)
}

/// The controls with the mode of each as it is under the baseline's.
#[must_use]
pub fn effective(ceiling: Mode, controls: &Controls) -> Controls {
    let mut effective = controls.clone();
    let Controls { password_policy, mfa, security_groups, s3_encryption } = &mut effective;
    let modes = [
        (Control::PasswordPolicy, password_policy.as_mut().map(|own| &mut own.mode)),
        (Control::Mfa, mfa.as_mut().map(|own| &mut own.mode)),
        (Control::SecurityGroups, security_groups.as_mut().map(|own| &mut own.mode)),
        (Control::S3Encryption, s3_encryption.as_mut().map(|own| &mut own.mode)),
    ];
    for (control, mode) in modes {
        if let Some(mode) = mode {
            *mode = Some(mode_of(control, ceiling, controls));
        }
    }
    effective
}

/// Whether a control is named and enforces.
#[must_use]
pub fn control_enforces(control: Control, ceiling: Mode, controls: &Controls) -> bool {
    let is_named = match control {
        Control::PasswordPolicy => controls.password_policy.is_some(),
        Control::Mfa => controls.mfa.is_some(),
        Control::SecurityGroups => controls.security_groups.is_some(),
        Control::S3Encryption => controls.s3_encryption.is_some(),
    };
    is_named && mode_of(control, ceiling, controls) == Mode::Enforce
}

/// Whether any control enforces.
#[must_use]
pub fn enforces(ceiling: Mode, controls: &Controls) -> bool {
    Control::ALL.into_iter().any(|control| control_enforces(control, ceiling, controls))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{MfaControl, PasswordPolicyControl};

    #[test]
    fn a_baseline_enforces_what_it_names_unless_its_mode_or_the_controls_own_is_audit() {
        let mut controls = Controls { password_policy: Some(PasswordPolicyControl::default()), ..Controls::default() };
        controls.mfa = Some(MfaControl { mode: Some(Mode::Audit), ..MfaControl::default() });
        let under = |ceiling| Control::ALL.map(|control| control_enforces(control, ceiling, &controls));
        assert_eq!(under(Mode::Enforce), [true, false, false, false]);
        assert_eq!(under(Mode::Audit), [false; 4]);
    }
}
