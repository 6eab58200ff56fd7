#include "server/auth/tls_certificates.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/core/status_macros.h"
#include "server/logging.h"

namespace lossd {
namespace {

// How often gRPC looks at the files in memory.
constexpr unsigned kRefreshSeconds = 1;

template <auto Free>
struct Freer {
  template <class Object>
  void operator()(Object* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Freer<BIO_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

absl::Status Refuse(const std::string& path, const char* why) {
  // Or the next failure elsewhere would show this one's reasons.
  ERR_clear_error();
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", why));
}

Bio Reader(const std::string& pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// Instead of asking the terminal.
int NoPassphrase(char* /*text*/, int /*size*/, int /*write*/, void* /*user*/) {
  return 0;
}

Certificate FirstCertificate(const std::string& pem) {
  return Certificate(
      PEM_read_bio_X509(Reader(pem).get(), nullptr, NoPassphrase, nullptr));
}

int64_t NotAfter(const X509& certificate) {
  std::tm time = {};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(&certificate), &time) == 0) return 0;
  return timegm(&time);
}

// A file in memory; others cannot open it.
Descriptor MemoryFile(const char* name) {
  return Descriptor(memfd_create(name, MFD_CLOEXEC));
}

std::string PathOf(const Descriptor& file) {
  return absl::StrCat("/proc/self/fd/", file.number());
}

absl::Status Replace(const Descriptor& file, const std::string& bytes) {
  if (pwrite(file.number(), bytes.data(), bytes.size(), 0) ==
          static_cast<ssize_t>(bytes.size()) &&
      ftruncate(file.number(), static_cast<off_t>(bytes.size())) == 0) {
    return absl::OkStatus();
  }
  return absl::InternalError(
      absl::StrCat("cannot keep certificates: ", strerror(errno)));
}

}  // namespace

TlsCertificates::TlsCertificates(Files files, Descriptor identity,
                                 Descriptor client_ca)
    : files_(std::move(files)),
      watched_({files_.certificate, files_.key, files_.client_ca}),
      identity_(std::move(identity)),
      client_ca_(std::move(client_ca)) {}

absl::StatusOr<std::unique_ptr<TlsCertificates>> TlsCertificates::Read(
    Files files) {
  std::unique_ptr<TlsCertificates> certificates(
      new TlsCertificates(std::move(files), MemoryFile("lossd certificate"),
                          MemoryFile("lossd client ca")));
  certificates->watched_.Changed();
  LOSSD_RETURN_IF_ERROR(certificates->LoadUncounted());
  return certificates;
}

absl::Status TlsCertificates::Load() {
  watched_.Changed();
  absl::Status status = LoadUncounted();
  ++(status.ok() ? reloads_ : failed_reloads_);
  return status;
}

absl::Status TlsCertificates::LoadIfChanged() {
  return watched_.Changed() ? Load() : absl::OkStatus();
}

absl::Status TlsCertificates::LoadUncounted() {
  const absl::StatusOr<std::string> chain = ReadSmallFile(files_.certificate);
  LOSSD_RETURN_IF_ERROR(chain.status());
  const absl::StatusOr<std::string> key = ReadSmallFile(files_.key);
  LOSSD_RETURN_IF_ERROR(key.status());
  const Certificate certificate = FirstCertificate(*chain);
  if (certificate == nullptr) {
    return Refuse(files_.certificate, "there is no certificate in PEM");
  }
  const Key private_key(PEM_read_bio_PrivateKey(Reader(*key).get(), nullptr,
                                                NoPassphrase, nullptr));
  if (private_key == nullptr) {
    return Refuse(files_.key,
                  "there is no private key in PEM without a "
                  "passphrase");
  }
  if (X509_check_private_key(certificate.get(), private_key.get()) != 1) {
    return Refuse(files_.key, "it is not the key of the certificate");
  }
  std::string roots;
  if (!files_.client_ca.empty()) {
    absl::StatusOr<std::string> read = ReadSmallFile(files_.client_ca);
    LOSSD_RETURN_IF_ERROR(read.status());
    roots = *std::move(read);
    if (FirstCertificate(roots) == nullptr) {
      return Refuse(files_.client_ca, "there is no certificate in PEM");
    }
  }
  // gRPC skips in each what it does not look for. One file, so that it does not
  // see one of the two alone.
  LOSSD_RETURN_IF_ERROR(Replace(identity_, absl::StrCat(*key, "\n", *chain)));
  LOSSD_RETURN_IF_ERROR(Replace(client_ca_, roots));
  not_after_ = NotAfter(*certificate);
  LogInfo("certificates",
          {{"file", files_.certificate}, {"not_after", not_after_.load()}});
  return absl::OkStatus();
}

std::shared_ptr<grpc::ServerCredentials> TlsCertificates::Credentials() const {
  namespace tls = grpc::experimental;
  const bool clients = !files_.client_ca.empty();
  tls::TlsServerCredentialsOptions options(
      std::make_shared<tls::FileWatcherCertificateProvider>(
          PathOf(identity_), PathOf(identity_),
          clients ? PathOf(client_ca_) : "", kRefreshSeconds));
  options.watch_identity_key_cert_pairs();
  if (clients) {
    options.watch_root_certs();
    options.set_cert_request_type(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return tls::TlsServerCredentials(options);
}

TlsCertificates::Figures TlsCertificates::figures() const {
  return {.not_after = not_after_,
          .reloads = reloads_,
          .failed_reloads = failed_reloads_};
}

}  // namespace lossd
