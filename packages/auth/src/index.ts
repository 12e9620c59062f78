export { type GenerateApiKeyOptions, type GeneratedApiKey, generateApiKey, hashApiKey } from './api-key/generate.ts'
export type { Instant } from './api-key/instant.ts'
export type { ApiKeyLookup, ApiKeyOptions } from './api-key/options.ts'
export type { ApiKeyRecord } from './api-key/record.ts'
export { type AuthenticateHandler, authenticate } from './authenticate/middleware.ts'
export type { AuthenticateOptions } from './authenticate/options.ts'
export { type AuthorizeHandler, authorize } from './authorize/middleware.ts'
export type { AuthorizeOptions } from './authorize/options.ts'
export { allOf, anyOf, type ClaimRule, not, type Rule, type RuleCheck, type RuleParts } from './authorize/rule.ts'
export type { BasicOptions, PasswordCheck, PasswordCheckResult, UserLookup } from './basic/options.ts'
export type { UserParts, UserRecord, UserTableInput } from './basic/users.ts'
export { hashPassword } from './basic/verify-password.ts'
export type { FailureLimitOptions } from './brute-force/options.ts'
export type { ChallengeError } from './challenge.ts'
export {
  type AccessDecision,
  type ApiKeyUse,
  accessDecided,
  apiKeyUsed,
  type IdentityRefusal,
  type IdentityVerification,
  identityRefused,
  identityVerified,
  type KeySetRefresh,
  keySetRefreshed,
  type ProviderFailure,
  providerFailed,
} from './channels.ts'
export type { AlternativeNames } from './client-certificate/alternative-names.ts'
export type { ClientCertificate } from './client-certificate/certificate-facts.ts'
export type { CertificateField, CertificateHeader } from './client-certificate/certificate-header.ts'
export type { DistinguishedName } from './client-certificate/distinguished-name.ts'
export type { CertificateName, ClientCertificateOptions, SanOptions } from './client-certificate/options.ts'
export type {
  CookieSource,
  HeaderSource,
  QuerySource,
  SubprotocolSource,
  TokenFunction,
  TokenSource,
} from './credentials/token-source.ts'
export type { UserFunction } from './credentials/user-of.ts'
export type { ExchangeClient, TokenExchangeOptions } from './forward/exchange-options.ts'
export { type ForwardIdentityHandler, forwardIdentity } from './forward/forward-identity.ts'
export type { IdentityHeaderSource } from './forward/identity-headers.ts'
export { type ChosenClaims, type InternalIssuer, internalIssuer, type JwksDocument } from './forward/internal-issuer.ts'
export type { InternalIssuerOptions } from './forward/issuer-options.ts'
export type { ForwardIdentityOptions, InternalTokenOptions } from './forward/options.ts'
export type { PrivateJwk, SigningAlgorithm, SigningKey } from './forward/signing-keys.ts'
export type { CertificateAuthorities, ProviderErrorKind, ProviderTls } from './http-client.ts'
export { ProviderError } from './http-client.ts'
export type { IntrospectionClient, IntrospectionOptions } from './introspection/options.ts'
export { type JwtStrategy, jwt } from './jwt/jwt.ts'
export type { JwtAlgorithm } from './jwt/key-set.ts'
export type {
  JsonWebKey,
  JwtIssuerOptions,
  JwtOptions,
  PublicKeyInput,
  RevocationOptions,
  Secret,
} from './jwt/options.ts'
export type { RemoteKeysOptions } from './jwt/remote-options.ts'
export type { RevocationCheck } from './jwt/revocation.ts'
export type { IdentityParts, PassportSchemeOptions } from './passport/passport-scheme.ts'
export type { PassportStrategy, SchemeStrategy } from './passport/scheme-strategy.ts'
export { AUTH_PROBLEMS, type AuthProblem } from './problems.ts'
export {
  identityOf,
  type Refused,
  refused,
  type Scheme,
  type Soon,
  type Unavailable,
  unavailable,
  type Verdict,
  type Verified,
  verified,
} from './scheme.ts'
export {
  type ApiKeyStrategy,
  apiKey,
  type BasicStrategy,
  basic,
  clientCertificate,
  customScheme,
  type IntrospectionStrategy,
  introspection,
  passportScheme,
} from './schemes.ts'
